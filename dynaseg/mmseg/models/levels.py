from collections.abc import Mapping, Sequence

from torch import Tensor

from dynaseg.core.sizes import enlarge, limit_size
from dynaseg.mmseg.feature_cache import FeatureCache, LevelMemory
from dynaseg.mmseg.models.predictors import named


class LevelsMixin:
    """Computes a segmentor's features from images, or finds them in a cache.

    Attributes:
        cache: the cache of the backbone's levels, or None.
        memory: that of the neck's levels if neither it nor the backbone is trained, or None.
    """

    def prepare_levels(
        self, backbone: str, train_cfg: Mapping | None, feature_cache: Mapping | None
    ) -> None:
        """Read the settings; see :class:`dynaseg.mmseg.models.DynaSeg`.

        Args:
            backbone: the backbone's config, as text.
            train_cfg: that of the segmentor; None in MMSegmentation's tests, which drop it.
            feature_cache: that of the segmentor.

        Raises:
            ValueError: if a cache does not go with the other settings.
        """
        self.sees_as_tested = (train_cfg or {}).get('as_tested', False)
        self.cache, self.memory, self.caches_tests = None, None, False
        if feature_cache is None:
            return
        with named('feature_cache'):
            settings = dict(feature_cache)
            # Without train_cfg it is unknown whether training saw images as tests do.
            self.caches_tests = settings.pop('tests', False) and train_cfg is not None
            if self.caches_tests and not self.sees_as_tested:
                raise ValueError('tests=True needs train_cfg.as_tested=True')
            view = self.sees_as_tested, self.predict_scale, self.predict_pixels
            # "of pixels" keeps it apart from folders of files named by normalised images' digests.
            seen = f'{backbone} of pixels, {self.normalise} {view}'
            self.cache = FeatureCache(self.backbone, seen, **settings)
        if self.with_neck and not any(one.requires_grad for one in self.neck.parameters()):
            self.memory = LevelMemory(self.neck)

    def _load_from_state_dict(self, *args) -> None:
        super()._load_from_state_dict(*args)
        for kept in (self.cache, self.memory):
            if kept is not None:
                kept.forget_weights()

    def training_levels(self, img: Tensor) -> list[Tensor]:
        """Compute the backbone's levels of training images, or find them in the cache.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).

        Returns:
            The levels, each (N, C, h, w).
        """
        return self._compute(img) if self.cache is None else self.cache(img, self._compute)

    def training_neck_levels(self, img: Tensor) -> Sequence[Tensor]:
        """Compute the neck's levels of training images, pixels as above, or find them in memory."""

        def compute(img: Tensor) -> Sequence[Tensor]:
            return self.apply_neck(self.training_levels(img))

        return compute(img) if self.memory is None else self.memory(img, compute)

    def test_levels(self, img: Tensor) -> list[Tensor]:
        """Compute the backbone's levels of test images, with pixels as in training."""
        if self.caches_tests:
            return self.cache(img, self._compute)
        return self.backbone(self._see_as_in_tests(self.normalise(img)))

    def _compute(self, img: Tensor) -> list[Tensor]:
        return self.backbone(self.see_in_training(self.normalise(img)))

    def see_in_training(self, img: Tensor) -> Tensor:
        """Enlarge training images, (N, C, H, W), as the network sees them."""
        return self._see_as_in_tests(img) if self.sees_as_tested else img

    def _see_as_in_tests(self, img: Tensor) -> Tensor:
        img = limit_size(img, self.predict_pixels)
        return enlarge(img, self.predict_scale, self.predict_pixels)

    def features(self, img: Tensor) -> Tensor:
        """Compute the features from which the head computes its responses, as in training.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).

        Returns:
            The features, (N, C, h, w).
        """
        return self.decode_head.gather(self.training_neck_levels(img))

    def apply_neck(self, levels: list[Tensor]) -> Sequence[Tensor]:
        """Apply the neck, if there is one, to levels, each (N, C, h, w)."""
        return self.neck(levels) if self.with_neck else levels
