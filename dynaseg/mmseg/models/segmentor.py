import warnings
from collections.abc import Sequence

import mmcv
import numpy as np
from mmseg.models.builder import MODELS, SEGMENTORS
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from dynaseg.core import ProbabilityRefinement
from dynaseg.core.regions import RegionHierarchy
from dynaseg.core.sizes import check_prediction, enlarge, limit_size, resize_maps
from dynaseg.io.palette import distinct_palette
from dynaseg.mmseg.checks.errors import naming
from dynaseg.mmseg.checks.levels import check_levels
from dynaseg.mmseg.checks.weights import check_pretrained, has_weights, refuse_other_segmentor
from dynaseg.mmseg.models.inputs import PixelNormalization, refuse_normalised, to_image
from dynaseg.mmseg.models.old_keys import refuse_old_keys, refuse_unknown_keys
from dynaseg.mmseg.models.predictors import (
    SegmentationSettings,
    TrainedPredictor,
    make_predictor,
    named,
)
from dynaseg.mmseg.scratch import SEED_KEY, FromScratchMixin
from dynaseg.predictor import FittedPredictor, RegionPredictor

TRAINED_KEYS = {'predict_scale', 'predict_pixels', 'refine'}  # of tests without fits
TEST_KEYS = {'mode', 'fit', 'regions', *TRAINED_KEYS}


@SEGMENTORS.register_module()
class DynaSeg(FromScratchMixin, EncoderDecoder):
    """Unsupervised segmentor of Guermazi et al. (Image and Vision Computing 2024).

    A backbone, optionally a neck, and a :class:`ResponseHead`. Training needs images alone: the
    head's loss takes its labels from the response map. Testing gives every pixel the cluster of its
    strongest response, either as trained or after fitting the network to the very image.

    Images come as pixels, and the segmentor normalises them, in training and in tests alike: a
    pipeline needs no ``Normalize``.

    Args:
        backbone: config of any backbone of MMSegmentation.
        decode_head: config of the head.
        neck: config of the neck.
        img_norm_cfg: ``mean``, ``std`` and ``to_rgb`` as of MMSegmentation's ``Normalize``;
            ImageNet's by default.
        train_cfg: has no entries.
        test_cfg: ``mode='whole'``, as in MMSegmentation. As trained, the network sees images
            enlarged by ``predict_scale`` (1), as far as ``predict_pixels`` (None, no limit) go,
            which also bounds larger images; with ``refine``, a dict of arguments of
            :class:`dynaseg.core.ProbabilityRefinement`, the labels follow the images' edges. With
            ``fit``, a dict, every test image is fitted from the segmentor's weights with the head's
            loss, and these three have no place; it holds arguments of
            :class:`dynaseg.core.Fitter`, ``refine``, a dict of arguments of
            :class:`dynaseg.core.LabelRefinement`, and ``min_clusters``, the least number of
            clusters: a number, or ``'silhouette'`` for that of the image's colours. With
            ``regions``, a dict of entries of :class:`dynaseg.core.regions.RegionSettings`, tests
            give a hierarchy of regions an image, which region data sets evaluate: of the trained
            network's probabilities or, with ``fit``, of as many fits as ``num_fits`` (4) says, from
            the segmentor's weights and further fresh ones, to the ``channels`` ('texture') of the
            image, of which the backbone takes so many (9). ``preset='deep'`` weighs the features
            of a further ``backbone``, of which fits see principal ``components`` as well.
        allow_missing: beginnings of names of weights, such as ``'decode_head.'``, that a checkpoint
            may lack, or hold in other shapes or beside those of the model; ``['']`` for any. All
            others must be there.
        init_cfg: initialisation, as for every module of MMCV.
        pretrained: as in MMSegmentation.

    Raises:
        ValueError: if the tests are not in whole mode (the windows of one image would share no
            cluster), or an entry of a config is unknown, out of its range, or has another name now;
            ConfigError, which is one, if a part cannot be built or does not fit the one before it.
        TypeError: if ``fit`` or ``refine`` has an entry that is unknown.
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
        init_cfg: dict | None = None,
        pretrained: str | None = None,
    ) -> None:
        test_cfg = mmcv.ConfigDict({'mode': 'whole', **(test_cfg or {})})
        parts = {'backbone': backbone, 'neck': neck, 'decode_head': decode_head}
        refuse_old_keys(parts | {'train_cfg': train_cfg, 'test_cfg': test_cfg})
        if test_cfg.mode != 'whole':
            raise ValueError(f"test_cfg.mode must be 'whole' for DynaSeg, got {test_cfg.mode!r}")
        refuse_unknown_keys('train_cfg', train_cfg or {}, ())
        refuse_unknown_keys('test_cfg', test_cfg, TEST_KEYS)
        self.allow_missing = tuple(allow_missing)
        try:
            super().__init__(
                backbone=backbone,
                decode_head=decode_head,
                neck=neck,
                train_cfg=train_cfg,
                test_cfg=test_cfg,
                init_cfg=init_cfg,
                pretrained=pretrained,
            )
        except Exception:  # constructors of any registered module
            for name, part in parts.items():  # which of them it was
                if part is not None:
                    with naming(f'model.{name}'):
                        MODELS.build(part)
            raise
        with named('img_norm_cfg'):
            self.normalise = PixelNormalization(**(img_norm_cfg or {}))
        self.predict_scale = test_cfg.get('predict_scale', 1.0)
        self.predict_pixels = test_cfg.get('predict_pixels')
        with named('test_cfg'):
            check_prediction(self.predict_scale, self.predict_pixels)
        self.refinement = None
        if test_cfg.get('refine') is not None:
            with named('test_cfg.refine'):
                self.refinement = ProbabilityRefinement(**test_cfg['refine'])
        if test_cfg.get('fit') is not None and (unused := sorted(TRAINED_KEYS & set(test_cfg))):
            raise ValueError(f'test_cfg.{", test_cfg.".join(unused)} are not used with fit')
        self.segmentation = SegmentationSettings(
            self.decode_head.loss_decode, test_cfg.get('fit'), test_cfg.get('regions')
        )
        check_levels(self, parts, self.segmentation.num_channels)

    def init_weights(self) -> None:
        """Initialise the weights; those that are pretrained must be of these networks.

        Raises:
            ConfigError: if a file of weights cannot be read or is of another network.
        """
        check_pretrained(self, self.allow_missing)
        super().init_weights()
        if not has_weights(self):
            warnings.warn(
                f'model.backbone: {type(self.backbone).__name__} starts from random weights; give '
                "it init_cfg=dict(type='Pretrained', checkpoint=...), or load a checkpoint",
                stacklevel=2,
            )

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        # Scripts pass over what does not fit, and test random weights.
        if prefix + SEED_KEY not in state_dict:
            given = {name.removeprefix(prefix): value for name, value in state_dict.items()}
            refuse_other_segmentor(self, given, self.allow_missing)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def make_predictor(self) -> FittedPredictor | RegionPredictor | TrainedPredictor:
        """Make what segments images, RGB, uint8, (H, W, 3), with the present weights."""
        return make_predictor(self, self.segmentation)

    @property
    def sees_whole_images(self) -> bool:
        """Whether the test images are segmented one by one, each as a photograph is."""
        return (self.segmentation.fitter or self.segmentation.region_settings) is not None

    def response(self, img: Tensor) -> Tensor:
        """Compute the normalised response map.

        Args:
            img: normalised images, (N, C, H, W).

        Returns:
            The response map at the features' resolution, (N, q, h, w).
        """
        return self.decode_head(self.extract_feat(img))

    def features(self, img: Tensor) -> Tensor:
        """Compute the features from which the head computes its responses.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).

        Returns:
            The features, (N, C, h, w).
        """
        return self.decode_head.gather(self.extract_feat(self.normalise(img)))

    def forward_train(
        self, img: Tensor, img_metas: list[dict], gt_semantic_seg: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss of a batch of unlabelled images.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).
            img_metas: one dict an image.
            gt_semantic_seg: ignored, so that stock training pipelines work as well.

        Returns:
            The parts of the loss, by the names under which they are logged.
        """
        refuse_normalised(img_metas)
        if self.segmentation.num_fits > 1:
            raise ValueError('test_cfg.regions with fit: networks are fitted in tests, not trained')
        return self.decode_head.losses(self.response(self.normalise(img)))

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
            img: pixels, BGR, 0 to 255, (N, 3, H, W).
            img_meta: one dict an image, as the test pipeline gives it.
            rescale: whether they are wanted at the images' original size.

        Returns:
            The probabilities, (N, q, H, W), of the images as they were before any flip.
        """
        refuse_normalised(img_meta)
        img = self.normalise(img)
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
            imgs: pixels, BGR, 0 to 255, (N, 3, H, W), for each augmentation.
            img_metas: one dict an image, for each augmentation.
            **kwargs: ``rescale``, as for :meth:`simple_test`.

        Returns:
            As :meth:`simple_test`.
        """
        if self.sees_whole_images and len(imgs) == 1:
            return self.simple_test(imgs[0], img_metas[0], **kwargs)
        return super().forward_test(imgs, img_metas, **kwargs)

    def simple_test(
        self, img: Tensor, img_meta: list[dict], rescale: bool = True
    ) -> list[np.ndarray]:
        """Label a batch of test images.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).
            img_meta: one dict an image, as the test pipeline gives it.
            rescale: whether the labels are wanted at the images' original size.

        Returns:
            Cluster of each pixel, (H, W) an image; with ``test_cfg.regions`` a hierarchy of
            regions an image.
        """
        if not self.sees_whole_images:
            return super().simple_test(img, img_meta, rescale)
        refuse_normalised(img_meta)
        images = [
            to_image(one[:, : meta['img_shape'][0], : meta['img_shape'][1]])  # without padding
            for one, meta in zip(img, img_meta, strict=True)
        ]
        results = []
        for segmentation, meta in zip(self.make_predictor()(images), img_meta, strict=True):
            if segmentation.hierarchy is not None:
                results.append(segmentation.hierarchy)
                continue
            # OpenCV resizes no 64-bit integers; a response map has no 32768 channels.
            labels = segmentation.labels.astype(np.int16)
            if rescale:
                height, width = meta['ori_shape'][:2]
                labels = mmcv.imresize(labels, (width, height), interpolation='nearest')
            results.append(labels.astype(np.int64))
        return results

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[dict]], rescale: bool = True):
        """Refuse where images are fitted: each augmentation would have clusters of its own."""
        if self.sees_whole_images:
            raise NotImplementedError('test_cfg.fit and .regions exclude test-time augmentation')
        return super().aug_test(imgs, img_metas, rescale)

    def show_result(
        self,
        img: str | np.ndarray,
        result: list[np.ndarray | RegionHierarchy],
        palette: np.ndarray | None = None,
        **kwargs,
    ) -> np.ndarray | None:
        """Draw clusters over an image, as ``EncoderDecoder.show_result`` draws classes.

        The clusters are not the data set's classes and may outnumber them, so they have colours of
        their own and ``palette`` is not used. Of a hierarchy its regions at detail .5 are drawn.
        """
        result = [one.regions() if isinstance(one, RegionHierarchy) else one for one in result]
        classes = self.CLASSES
        try:
            number = max(self.num_classes, int(result[0].max()) + 1)
            self.CLASSES = [str(cluster) for cluster in range(number)]
            return super().show_result(img, result, distinct_palette(number), **kwargs)
        finally:
            self.CLASSES = classes
