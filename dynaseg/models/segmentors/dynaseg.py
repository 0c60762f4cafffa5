from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager

import mmcv
import numpy as np
import torch
from mmseg.models.builder import SEGMENTORS
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

from dynaseg.fitting import FitResult, Fitter, estimate_num_clusters
from dynaseg.models.losses import DynaSegLoss
from dynaseg.models.segmentors.teacher import RunningMeanTeacher
from dynaseg.models.segmentors.views import ViewConsistency
from dynaseg.prediction import (
    LabelRefinement,
    ProbabilityRefinement,
    enlarge,
    enlarge_labels,
    limit_size,
    resize_maps,
)
from dynaseg.utils.checks import check_settings
from dynaseg.utils.palette import distinct_palette
from dynaseg.utils.scratch import FromScratchMixin

IMAGENET_NORM = {'mean': (123.675, 116.28, 103.53), 'std': (58.395, 57.12, 57.375)}


class ResponseNetwork(nn.Module):
    """A segmentor as a plain network from images to response maps, for the fitter."""

    def __init__(self, segmentor: 'DynaSeg') -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, img: Tensor) -> Tensor:
        """Compute the response maps of images, (N, 3, H, W)."""
        return self.segmentor.response(img)


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Put the key of the config before what its arguments raise."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f'{key}: {error}') from error


@SEGMENTORS.register_module()
class DynaSeg(FromScratchMixin, EncoderDecoder):
    """Unsupervised segmentor of Guermazi et al. (Image and Vision Computing 2024).

    A backbone, optionally a neck, and a :class:`ResponseHead`. Training needs images alone: the
    head's loss takes its labels from the response map. Testing gives every pixel the cluster of its
    strongest response, either as trained or after fitting the network to the very image.

    Args:
        backbone: config of any backbone of MMSegmentation.
        decode_head: config of the head.
        neck: config of the neck.
        train_cfg: none is needed. With ``views``, a dict of arguments of :class:`ViewConsistency`,
            a second view of every image is asked for the labels of the first; with ``teacher``
            beside it, a dict of arguments of :class:`RunningMeanTeacher`, these come from the
            running mean of the network.
        test_cfg: ``mode='whole'``, as in MMSegmentation. As trained, the network sees images
            enlarged by ``predict_scale`` (1), as far as ``predict_pixels`` (None, no limit) go,
            which also bounds larger images; with ``refine``, a dict of arguments of
            :class:`dynaseg.prediction.ProbabilityRefinement`, the labels follow the images' edges.
            With ``fit``, a dict, every test image is fitted from the segmentor's weights with the
            head's loss, and these three do not apply; it holds arguments of
            :class:`dynaseg.fitting.Fitter`, ``refine``, a dict of arguments of
            :class:`dynaseg.prediction.LabelRefinement`, and ``floor``, the least number of
            clusters: a number, or ``'silhouette'`` for that of the image's colours.
        init_cfg: initialisation, as for every module of MMCV.
        pretrained: as in MMSegmentation.

    Raises:
        ValueError: if the tests are not in whole mode (the windows of one image would share no
            cluster), an entry of ``test_cfg``, ``fit``, ``refine``, ``views`` or ``teacher`` is out
            of its range, or there is a teacher without views.
        TypeError: if one of them has an entry that is unknown.
    """

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        neck: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
        pretrained: str | None = None,
    ) -> None:
        test_cfg = mmcv.ConfigDict({'mode': 'whole', **(test_cfg or {})})
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            neck=neck,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
            pretrained=pretrained,
        )
        mode = test_cfg.mode
        if mode != 'whole':
            raise ValueError(f"test_cfg.mode must be 'whole' for DynaSeg, got {mode!r}")
        self.views = self.teacher = None
        train_cfg = train_cfg or {}
        if train_cfg.get('views') is not None:
            with _named('train_cfg.views'):
                self.views = ViewConsistency(**train_cfg['views'])
        if train_cfg.get('teacher') is not None:
            if self.views is None:
                raise ValueError('train_cfg.teacher needs train_cfg.views: it labels their images')
            with _named('train_cfg.teacher'):
                self.teacher = RunningMeanTeacher(self._network(), **train_cfg['teacher'])
        self.predict_scale = test_cfg.get('predict_scale', 1.0)
        self.predict_pixels = test_cfg.get('predict_pixels')
        scale, pixels = self.predict_scale, self.predict_pixels
        check_settings(
            {
                'test_cfg.predict_scale': (scale, scale >= 1, 'at least 1'),
                'test_cfg.predict_pixels': (
                    pixels,
                    pixels is None or pixels > 0,
                    'positive or None',
                ),
            }
        )
        self.refinement = None
        if test_cfg.get('refine') is not None:
            with _named('test_cfg.refine'):
                self.refinement = ProbabilityRefinement(**test_cfg['refine'])
        # How images are normalised when they do not come through a pipeline.
        self.img_norm_cfg = IMAGENET_NORM
        self.fitter = self.floor = None
        if test_cfg.get('fit') is not None:
            fit = dict(test_cfg['fit'])
            self.floor = fit.pop('floor', 1)
            if self.floor != 'silhouette' and not (isinstance(self.floor, int) and self.floor > 0):
                raise ValueError(
                    f"test_cfg.fit.floor must be a positive integer or 'silhouette', "
                    f'got {self.floor!r}'
                )
            loss = self.decode_head.loss_decode
            if not isinstance(loss, DynaSegLoss):
                raise ValueError(
                    f"test_cfg.fit needs decode_head.loss_decode of type 'DynaSegLoss', "
                    f'got {type(loss).__name__!r}'
                )
            refine = fit.pop('refine', None)
            if refine is not None:
                with _named('test_cfg.fit.refine'):
                    refine = LabelRefinement(**refine)
            with _named('test_cfg.fit'):
                self.fitter = Fitter(loss.without_reduction(), refinement=refine, **fit)

    def response(self, img: Tensor) -> Tensor:
        """Compute the normalised response map.

        Args:
            img: normalised images, (N, 3, H, W).

        Returns:
            The response map at the features' resolution, (N, q, h, w).
        """
        return self.decode_head(self.extract_feat(img))

    def features(self, img: Tensor) -> Tensor:
        """Compute the features from which the head computes its responses.

        Args:
            img: normalised images, (N, 3, H, W).

        Returns:
            The features, (N, C, h, w).
        """
        return self.decode_head.gather(self.extract_feat(img))

    def forward_train(
        self, img: Tensor, img_metas: list[dict], gt_semantic_seg: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss of a batch of unlabelled images.

        Args:
            img: normalised images, (N, 3, H, W).
            img_metas: one dict an image.
            gt_semantic_seg: ignored, so that stock training pipelines work as well.

        Returns:
            The parts of the loss, by the names under which they are logged.
        """
        response = self.response(img)
        losses = self.decode_head.losses(response)
        if self.views is not None:
            if self.teacher is not None:
                self.teacher.update(self._network())
                labels = self.teacher(img).argmax(dim=1)
            else:
                labels = response.argmax(dim=1)
            view, labels = self.views.draw(img, labels, img_metas[0].get('img_norm_cfg'))
            losses['loss_view'] = self.views.loss(self.response(view), labels)
        return losses

    def _network(self) -> nn.Sequential:
        """The network from images to response maps, which shares its modules."""
        parts = [self.backbone, self.neck if self.with_neck else None, self.decode_head]
        return nn.Sequential(*(part for part in parts if part is not None))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Load weights; a teacher's are passed over where there is none, as in tests."""
        if self.teacher is None:
            for key in [key for key in state_dict if key.startswith(f'{prefix}teacher.')]:
                del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *args)

    def fit(
        self, items: Iterable[tuple[Hashable, Tensor, np.ndarray]], batch_size: int = 1
    ) -> Iterator[tuple[Hashable, FitResult]]:
        """Fit images, several at a time, each from the segmentor's weights, which stay as they are.

        Args:
            items: a key of your own, the normalised image, (3, H, W), and the same image, RGB,
                uint8, (H, W, 3), whose colours give the floor.
            batch_size: most images that are fitted at once.

        Yields:
            Key and result of each image, in the order in which they are finished.
        """

        def with_floors() -> Iterator[tuple[Hashable, Tensor, int]]:
            for key, img, image in items:
                floor = self.floor
                if floor == 'silhouette':
                    floor = estimate_num_clusters(image)[0]
                yield key, img, floor

        return self.fitter.stream(ResponseNetwork(self), with_floors(), batch_size)

    def segment(self, image: np.ndarray) -> FitResult:
        """Segment an image, fitted to it where ``test_cfg`` has ``fit`` and as trained otherwise.

        Args:
            image: RGB, uint8, (H, W, 3).

        Returns:
            The labels, numbered without gaps, and how they came about.
        """
        ((_, result),) = self.segment_stream([(None, image)])
        return result

    @torch.no_grad()
    def segment_stream(
        self, items: Iterable[tuple[Hashable, np.ndarray]], batch_size: int = 1
    ) -> Iterator[tuple[Hashable, FitResult]]:
        """Segment images of any sizes, several at a time where they are fitted.

        Args:
            items: a key of your own and the image, RGB, uint8, (H, W, 3); read as they are needed.
            batch_size: most images that are fitted at once.

        Yields:
            Key and result of each image, in the order in which they are finished.
        """
        if self.fitter is not None:
            items = ((key, self.normalise(image), image) for key, image in items)
            yield from self.fit(items, batch_size)
            return
        for key, image in items:
            img = limit_size(self.normalise(image)[None], self.predict_pixels)
            meta = {'ori_shape': image.shape, 'flip': False}
            probabilities = self.inference(img, [meta], rescale=False)
            labels = enlarge_labels(probabilities.argmax(dim=1), image.shape[:2])[0].cpu()
            clusters, labels = labels.unique(return_inverse=True)
            yield key, FitResult(labels, [len(clusters)])

    def normalise(self, image: np.ndarray) -> Tensor:
        """Turn an image, RGB, uint8, (H, W, 3), into the network's input, (3, H, W)."""
        mean, std = (np.array(self.img_norm_cfg[key]) for key in ('mean', 'std'))
        if not self.img_norm_cfg.get('to_rgb', True):
            image = image[..., ::-1]
        img = mmcv.imnormalize(image, mean, std, to_rgb=False)
        return torch.from_numpy(img.transpose(2, 0, 1)).to(next(self.parameters()).device)

    def encode_decode(self, img: Tensor, img_metas: list[dict] | None) -> Tensor:
        """Compute the response map at the images' size.

        Args:
            img: normalised images, (N, 3, H, W).
            img_metas: not used.

        Returns:
            The response map, (N, q, H, W).
        """
        seen = limit_size(img, self.predict_pixels)
        seen = enlarge(seen, self.predict_scale, self.predict_pixels)
        return resize_maps(self.response(seen), img.shape[2:], self.align_corners)

    def inference(self, img: Tensor, img_meta: list[dict], rescale: bool) -> Tensor:
        """Compute the probabilities of the clusters, refined where ``test_cfg`` says so.

        Args:
            img: normalised images, (N, 3, H, W).
            img_meta: one dict an image, as the test pipeline gives it.
            rescale: whether they are wanted at the images' original size.

        Returns:
            The probabilities, (N, q, H, W), of the images as they were before any flip.
        """
        probabilities = super().inference(img, img_meta, rescale)
        if self.refinement is None:
            return probabilities
        if rescale:  # which leaves the padding out
            height, width = img_meta[0]['img_shape'][:2]
            img = img[:, :, :height, :width]
        if img_meta[0]['flip']:
            img = img.flip(dims=({'horizontal': 3, 'vertical': 2}[img_meta[0]['flip_direction']],))
        return self.refinement(probabilities, resize_maps(img, probabilities.shape[2:]))

    def forward_test(
        self, imgs: list[Tensor], img_metas: list[list[dict]], **kwargs
    ) -> list[np.ndarray]:
        """Label the test images of a batch, which may differ in size where they are fitted.

        Args:
            imgs: normalised images, (N, 3, H, W), for each augmentation.
            img_metas: one dict an image, for each augmentation.
            **kwargs: ``rescale``, as for :meth:`simple_test`.

        Returns:
            Cluster of each pixel, (H, W) an image.
        """
        if self.fitter is not None and len(imgs) == 1:
            return self.simple_test(imgs[0], img_metas[0], **kwargs)
        return super().forward_test(imgs, img_metas, **kwargs)

    def simple_test(
        self, img: Tensor, img_meta: list[dict], rescale: bool = True
    ) -> list[np.ndarray]:
        """Label a batch of test images.

        Args:
            img: normalised images, (N, 3, H, W).
            img_meta: one dict an image, as the test pipeline gives it.
            rescale: whether the labels are wanted at the images' original size.

        Returns:
            Cluster of each pixel, (H, W) an image.
        """
        if self.fitter is None:
            return super().simple_test(img, img_meta, rescale)
        items = []
        for index, (one, meta) in enumerate(zip(img, img_meta, strict=True)):
            height, width = meta['img_shape'][:2]  # without padding
            one = one[:, :height, :width]
            norm = meta['img_norm_cfg']
            pixels = one.permute(1, 2, 0).cpu().numpy() * norm['std'] + norm['mean']
            pixels = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
            items.append((index, one, pixels if norm['to_rgb'] else pixels[..., ::-1]))
        results = [None] * len(items)
        for index, result in self.fit(items, batch_size=len(items)):
            # OpenCV resizes no 64-bit integers; a response map has no 32768 channels.
            labels = result.labels.numpy().astype(np.int16)
            if rescale:
                height, width = img_meta[index]['ori_shape'][:2]
                labels = mmcv.imresize(labels, (width, height), interpolation='nearest')
            results[index] = labels.astype(np.int64)
        return results

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[dict]], rescale: bool = True):
        """Refuse where images are fitted: each augmentation would have clusters of its own."""
        if self.fitter is not None:
            raise NotImplementedError('test_cfg.fit and test-time augmentation exclude each other')
        return super().aug_test(imgs, img_metas, rescale)

    def show_result(
        self,
        img: str | np.ndarray,
        result: list[np.ndarray],
        palette: np.ndarray | None = None,
        **kwargs,
    ) -> np.ndarray | None:
        """Draw clusters over an image, as ``EncoderDecoder.show_result`` draws classes.

        The clusters are not the data set's classes and may outnumber them, so they have colours of
        their own and ``palette`` is not used.
        """
        classes = self.CLASSES
        try:
            self.CLASSES = [str(cluster) for cluster in range(self.num_classes)]
            return super().show_result(img, result, distinct_palette(self.num_classes), **kwargs)
        finally:
            self.CLASSES = classes
