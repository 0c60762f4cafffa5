import numpy as np
from mmseg.models.builder import SEGMENTORS
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from dynaseg.utils.palette import distinct_palette
from dynaseg.utils.scratch import FromScratchMixin


@SEGMENTORS.register_module()
class DynaSeg(FromScratchMixin, EncoderDecoder):
    """Unsupervised segmentor of Guermazi et al. (Image and Vision Computing 2024).

    A backbone, optionally a neck, and a :class:`ResponseHead`. Training needs images alone: the
    head's loss takes its labels from the response map. Testing gives every pixel the cluster of its
    strongest response.

    Args:
        backbone: config of any backbone of MMSegmentation.
        decode_head: config of the head.
        neck: config of the neck.
        train_cfg: training settings; none are needed.
        test_cfg: ``mode='whole'``, as in MMSegmentation.
        init_cfg: initialisation, as for every module of MMCV.

    Raises:
        ValueError: if the tests are not in whole mode: the windows of one image
            would share no cluster.
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
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            neck=neck,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            init_cfg=init_cfg,
            pretrained=pretrained,
        )
        mode = (test_cfg or {}).get('mode', 'whole')
        if mode != 'whole':
            raise ValueError(f"test_cfg.mode must be 'whole' for DynaSeg, got {mode!r}")

    def response(self, img: Tensor) -> Tensor:
        """Compute the normalised response map.

        Args:
            img: normalised images, (N, 3, H, W).

        Returns:
            The response map at the features' resolution, (N, q, h, w).
        """
        return self.decode_head(self.extract_feat(img))

    def forward_train(
        self, img: Tensor, img_metas: list[dict], gt_semantic_seg: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss of a batch of unlabelled images.

        Args:
            img: normalised images, (N, 3, H, W).
            img_metas: one dict an image; not used.
            gt_semantic_seg: ignored, so that stock training pipelines work as well.

        Returns:
            The parts of the loss, by the names under which they are logged.
        """
        return self.decode_head.forward_train(
            self.extract_feat(img), img_metas, None, self.train_cfg
        )

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
