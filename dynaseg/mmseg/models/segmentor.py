from collections.abc import Mapping, Sequence
from dataclasses import replace

import mmcv
import numpy as np
import torch
from mmseg.models.builder import SEGMENTORS
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from dynaseg.core.regions import RegionHierarchy
from dynaseg.core.sizes import (
    check_prediction,
    enlarge_labels,
    limit_size,
    limited_size,
    resize_maps,
)
from dynaseg.io.names import ClusterNames
from dynaseg.io.palette import distinct_palette
from dynaseg.mmseg.checks.levels import check_levels
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.models.checked_weights import CheckedWeightsMixin, naming_part
from dynaseg.mmseg.models.inputs import PixelNormalization, refuse_normalised, to_image
from dynaseg.mmseg.models.levels import LevelsMixin
from dynaseg.mmseg.models.old_keys import refuse_old_keys, refuse_unknown_keys
from dynaseg.mmseg.models.predictors import (
    SegmentationSettings,
    TrainedPredictor,
    make_predictor,
    named,
)
from dynaseg.mmseg.models.refined_votes import RefinedVotesMixin
from dynaseg.mmseg.named_labels import NamedLabels
from dynaseg.mmseg.scratch import FromScratchMixin
from dynaseg.predictor import FittedPredictor, RegionPredictor

TRAIN_KEYS = ('as_tested',)
# Of label maps: a response map has fewer than 32,768 channels.
LABEL_TYPE = np.int16
# For tests without fits.
TRAINED_KEYS = {'predict_scale', 'predict_pixels', 'refine', 'superpixels', 'keep', 'names'}
TEST_KEYS = {'mode', 'fit', 'regions', *TRAINED_KEYS}


@SEGMENTORS.register_module()
class DynaSeg(
    CheckedWeightsMixin, FromScratchMixin, LevelsMixin, RefinedVotesMixin, EncoderDecoder
):
    """Unsupervised segmentor of Guermazi et al. (Image and Vision Computing 2024).

    A backbone, optionally a neck, and a :class:`ResponseHead`. Training needs only images: the
    head's loss takes its labels from the response map. Testing gives every pixel the cluster of its
    strongest response, either as trained or after fitting the network to that image.

    Images come as pixels, and the segmentor normalises them, in training and in tests: a pipeline
    needs no ``Normalize``.

    Args:
        backbone: config of any MMSegmentation backbone.
        decode_head: config of the head.
        neck: config of the neck.
        img_norm_cfg: ``mean``, ``std`` and ``to_rgb`` as in MMSegmentation's ``Normalize``;
            ImageNet's by default.
        train_cfg: with ``as_tested=True`` the network sees training images enlarged like test
            images (see ``test_cfg``); otherwise at the size that the pipeline gives them.
        test_cfg: ``mode='whole'``, as in MMSegmentation. As trained, the network sees images
            enlarged by ``predict_scale`` (1), up to ``predict_pixels`` pixels (None, no limit),
            to which larger images are reduced; with ``refine``, a dict of arguments of
            :class:`dynaseg.core.ProbabilityRefinement`, the labels follow the images' edges; with
            ``superpixels=True`` probabilities are then averaged over each superpixel, as by
            :func:`dynaseg.core.regions.average_over_superpixels`; with ``keep=True``, ``refine``
            leaves every cluster of an image some of its pixels, as by
            :func:`dynaseg.core.refinement.keep_labels`; with ``names``, a file of
            :mod:`dynaseg.io.names`, clusters of one name vote together, and labels are those of the
            names, for which data sets report separate figures. With ``fit``, a dict, every test
            image is fitted from the segmentor's weights with the head's loss, and these six are
            not allowed; it holds arguments of :class:`dynaseg.core.Fitter`, ``refine``, a dict of
            arguments of :class:`dynaseg.core.LabelRefinement`, and ``min_clusters``, the minimum
            number of clusters: a number, or ``'silhouette'`` for that of the image's colours. With
            ``regions``, a dict of entries of :class:`dynaseg.core.regions.RegionSettings`, tests
            give one hierarchy of regions per image, which region data sets evaluate: from the
            trained network's probabilities or, with ``fit``, from ``num_fits`` (4) fits to the
            image's ``channels`` ('texture'; the backbone must take as many, 9). The first fit
            starts from the segmentor's weights, the others from fresh ones. ``preset='deep'``
            weighs the features of a further ``backbone``, whose principal ``components`` fits see
            as well.
        allow_missing: prefixes of names of weights, such as ``'decode_head.'``, that a checkpoint
            may lack, hold in other shapes, or have in addition to the model's; ``['']`` for any.
            All others must match.
        feature_cache: with a dict of ``folder`` and ``max_gib`` (8), see
            :class:`~dynaseg.mmseg.feature_cache.FeatureCache`, the levels that the backbone, which
            must be frozen, computes from training images are kept on disk: useful if the pipeline
            gives an image again unchanged. The output of a neck without trained weights is then
            kept in memory, up to half a GiB. With ``tests=True``, which needs ``as_tested=True``,
            the levels of test images are kept on disk, too, so that testing a second checkpoint
            takes less time; ``mim test`` drops ``train_cfg`` and computes them.
        init_cfg: initialisation, as for every MMCV module.
        pretrained: as in MMSegmentation.

    Attributes:
        autocast_dtype: the type in which networks compute in training, besides float32; None for
            float32 only.

    Raises:
        ValueError: if the tests are not in whole mode (the windows of one image would share no
            clusters), or an entry of a config is unknown, out of range, or renamed; ConfigError, a
            subclass, if a part cannot be built or does not fit the one before it.
        TypeError: if ``fit`` or ``refine`` has an unknown entry.
    """

    def __init__(
        self,
        backbone: dict,
        decode_head: dict,
        neck: dict | None = None,
        img_norm_cfg: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        allow_missing: Sequence[str] = (),
        feature_cache: dict | None = None,
        init_cfg: dict | None = None,
        pretrained: str | None = None,
    ) -> None:
        test_cfg = mmcv.ConfigDict({'mode': 'whole', **(test_cfg or {})})
        parts = {'backbone': backbone, 'neck': neck, 'decode_head': decode_head}
        refuse_old_keys(parts | {'train_cfg': train_cfg, 'test_cfg': test_cfg})
        if test_cfg.mode != 'whole':
            raise ValueError(f"test_cfg.mode must be 'whole' for DynaSeg, got {test_cfg.mode!r}")
        refuse_unknown_keys('train_cfg', train_cfg or {}, TRAIN_KEYS)
        refuse_unknown_keys('test_cfg', test_cfg, TEST_KEYS)
        self.allow_missing = tuple(allow_missing)
        with naming_part(parts):
            super().__init__(
                **parts,
                train_cfg=train_cfg,
                test_cfg=test_cfg,
                init_cfg=init_cfg,
                pretrained=pretrained,
            )
        with named('img_norm_cfg'):
            self.normalise = PixelNormalization(**(img_norm_cfg or {}))
        self.autocast_dtype = None
        self.predict_scale = test_cfg.get('predict_scale', 1.0)
        self.predict_pixels = test_cfg.get('predict_pixels')
        with named('test_cfg'):
            check_prediction(self.predict_scale, self.predict_pixels)
        self.prepare_votes(test_cfg)
        if test_cfg.get('fit') is not None and (unused := sorted(TRAINED_KEYS & set(test_cfg))):
            raise ValueError(f'test_cfg.{", test_cfg.".join(unused)} are not used with fit')
        self.prepare_levels(repr(backbone), train_cfg, feature_cache)
        self.segmentation = SegmentationSettings(
            self.decode_head.loss_decode, test_cfg.get('fit'), test_cfg.get('regions')
        )
        check_levels(self, parts, self.segmentation.num_channels)

    def make_predictor(
        self, names: ClusterNames | None = None
    ) -> FittedPredictor | RegionPredictor | TrainedPredictor:
        """Make the predictor with the current weights; see :func:`make_predictor`."""
        return make_predictor(self, self.segmentation, names)

    @property
    def sees_whole_images(self) -> bool:
        """Whether test images are segmented one by one, like photographs."""
        return (self.segmentation.fitter or self.segmentation.region_settings) is not None

    def response(self, img: Tensor) -> Tensor:
        """Compute the normalised response map.

        Args:
            img: normalised images, (N, C, H, W).

        Returns:
            The response map at the features' resolution, (N, q, h, w).
        """
        return self.decode_head(self.extract_feat(img))

    def forward_train(
        self, img: Tensor, img_metas: list[dict], gt_semantic_seg: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss of a batch of unlabelled images.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).
            img_metas: one dict per image.
            gt_semantic_seg: ignored, so that stock training pipelines work as well.

        Returns:
            The parts of the loss, by the names under which they are logged.

        Raises:
            UserError: if there is only one pixel of features to normalise over.
        """
        refuse_normalised(img_metas)
        if self.segmentation.num_fits > 1:
            raise ValueError('test_cfg.regions with fit: networks are fitted in tests, not trained')
        try:
            with torch.autocast(
                img.device.type, self.autocast_dtype, self.autocast_dtype is not None
            ):
                levels = self.training_neck_levels(img)
                response = self.decode_head(levels)
        except ValueError as error:
            if 'more than 1 value per channel' not in str(error):
                raise
            name = img_metas[0].get('filename', 'an image')
            raise UserError(
                f'{name} is {img.shape[3]} x {img.shape[2]} pixels: a batch whose features have a '
                'single pixel cannot be normalised; leave it out, or raise data.samples_per_gpu'
            ) from error
        return self.decode_head.losses(response.float(), levels=levels)

    def encode_decode(self, img: Tensor, img_metas: list[dict] | None) -> Tensor:
        """Compute the response map at the images' size.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).
            img_metas: not used.

        Returns:
            The response map, (N, q, H, W).
        """
        response = self.decode_head(self.apply_neck(self.test_levels(img)))
        return resize_maps(response, img.shape[2:], self.align_corners)

    def predict(
        self, img: Tensor, size: Sequence[int] | None = None, meta: Mapping | None = None
    ) -> Tensor:
        """Compute the probabilities of the clusters of an image, within ``predict_pixels``.

        Both data sets and photographs are labelled by it, so an image gets the same labels.

        Args:
            img: pixels, BGR, 0 to 255, (1, 3, H, W), without padding.
            size: requested height and width of the labels; those of the image if None.
            meta: whether and how the image is flipped, as a test pipeline gives it.

        Returns:
            The probabilities, (1, q, h, w), at the requested size, or at a smaller one of
            ``predict_pixels`` pixels.
        """
        img, meta = self._limit(img, size or img.shape[2:], meta or {})
        return self.inference(img, [meta], rescale=True)

    def _limit(self, img: Tensor, size: Sequence[int], meta: Mapping) -> tuple[Tensor, dict]:
        """Limit an image, and the size at which it is labelled, to ``predict_pixels``."""
        height, width = limited_size(size, self.predict_pixels)
        img = limit_size(img.float(), self.predict_pixels)
        shapes = {'ori_shape': (height, width, 3), 'img_shape': (*img.shape[2:], 3)}
        return img, {'flip': False, **meta, **shapes}

    def forward_test(
        self, imgs: list[Tensor], img_metas: list[list[dict]], **kwargs
    ) -> list[np.ndarray]:
        """Label the test images of a batch, which may differ in size.

        Args:
            imgs: pixels, BGR, 0 to 255, (N, 3, H, W), for each augmentation.
            img_metas: one dict per image, for each augmentation.
            **kwargs: ``rescale``; see :meth:`simple_test`.

        Returns:
            See :meth:`simple_test`.
        """
        if len(imgs) == 1:
            return self.simple_test(imgs[0], img_metas[0], **kwargs)
        return super().forward_test(imgs, img_metas, **kwargs)

    def simple_test(
        self, img: Tensor, img_meta: list[dict], rescale: bool = True
    ) -> list[np.ndarray]:
        """Label a batch of test images.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).
            img_meta: one dict per image, as the test pipeline gives it.
            rescale: whether to return the labels at the images' original size.

        Returns:
            Cluster of each pixel, (H, W) per image; with ``test_cfg.regions`` one hierarchy of
            regions per image.
        """
        refuse_normalised(img_meta)
        if not self.sees_whole_images:
            return [
                self._label(one[None], meta, rescale)
                for one, meta in zip(img, img_meta, strict=True)
            ]
        images = [
            to_image(one[:, : meta['img_shape'][0], : meta['img_shape'][1]])  # without padding
            for one, meta in zip(img, img_meta, strict=True)
        ]
        results = []
        for segmentation, meta in zip(self.make_predictor()(images), img_meta, strict=True):
            if segmentation.hierarchy is not None:
                hierarchy = segmentation.hierarchy
                results.append(_enlarge(hierarchy, meta) if rescale else hierarchy)
                continue
            labels = segmentation.labels.astype(LABEL_TYPE)
            if rescale:
                height, width = meta['ori_shape'][:2]
                labels = mmcv.imresize(labels, (width, height), interpolation='nearest')
            results.append(labels)
        return results

    def _label(self, img: Tensor, meta: Mapping, rescale: bool) -> np.ndarray:
        """Label an image of a batch by itself, so that it does not depend on the others."""
        height, width = meta['img_shape'][:2]
        size = meta['ori_shape'][:2] if rescale else (height, width)
        return self._decide_labels(self.predict(img[:, :, :height, :width], size, meta), size)

    def _decide_labels(self, probabilities: Tensor, size: Sequence[int]) -> np.ndarray:
        """Label an image by its clusters, or by their names if they have any, at a size."""
        labels = enlarge_labels(probabilities.argmax(dim=1), size)[0].cpu().numpy()
        labels = labels.astype(LABEL_TYPE)
        if self.names is None:
            return labels
        table, names = self.names.number_labels(self.num_classes)
        return NamedLabels(table.astype(LABEL_TYPE)[labels], names)

    def aug_test(
        self, imgs: list[Tensor], img_metas: list[list[dict]], rescale: bool = True
    ) -> list[np.ndarray]:
        """Label an image by the mean probabilities of its augmentations; see :meth:`simple_test`.

        Raises:
            UserError: if images are fitted: each augmentation would have its own clusters.
        """
        if self.sees_whole_images:
            raise UserError('test_cfg.fit and .regions exclude test-time augmentation')
        return [
            self._label_views([img[index][None] for img in imgs], metas, rescale)
            for index, metas in enumerate(zip(*img_metas, strict=True))
        ]

    def _label_views(
        self, imgs: Sequence[Tensor], img_metas: Sequence[Mapping], rescale: bool
    ) -> np.ndarray:
        size = img_metas[0]['ori_shape' if rescale else 'img_shape'][:2]
        views, metas = [], []
        for img, meta in zip(imgs, img_metas, strict=True):
            height, width = meta['img_shape'][:2]
            view, meta = self._limit(img[:, :, :height, :width], size, meta)
            views.append(view)
            metas.append([meta])
        return self._decide_labels(self.inference_of_views(views, metas, rescale=True), size)

    def show_result(
        self,
        img: str | np.ndarray,
        result: list[np.ndarray | RegionHierarchy],
        palette: np.ndarray | None = None,
        **kwargs,
    ) -> np.ndarray | None:
        """Draw clusters over an image, as ``EncoderDecoder.show_result`` draws classes.

        The clusters are not the data set's classes and may outnumber them, so they have their own
        colours and ``palette`` is not used. Of a hierarchy, the regions at detail .5 are drawn.
        """
        result = [one.regions() if isinstance(one, RegionHierarchy) else one for one in result]
        classes = self.CLASSES
        try:
            number = max(self.num_classes, int(result[0].max()) + 1)
            names = getattr(result[0], 'names', None)
            self.CLASSES = names or [str(cluster) for cluster in range(number)]
            palette = distinct_palette(len(self.CLASSES))
            return super().show_result(img, result, palette, **kwargs)
        finally:
            self.CLASSES = classes


def _enlarge(hierarchy: RegionHierarchy, meta: Mapping) -> RegionHierarchy:
    """Enlarge the hierarchy of a smaller image to the size of the original."""
    size = tuple(meta['ori_shape'][:2])
    height, width = hierarchy.leaves.shape
    if size == (height, width):
        return hierarchy
    if size[0] < height or size[1] < width:
        raise UserError(
            f'{meta.get("filename", "an image")} is {size[1]} x {size[0]}, and its regions were '
            f'found at {width} x {height}: the test pipeline must not enlarge images'
        )
    leaves = enlarge_labels(torch.from_numpy(hierarchy.leaves)[None], size)[0]
    return replace(hierarchy, leaves=leaves.numpy().astype(np.int32))
