from collections.abc import Mapping, Sequence

from torch import Tensor

from dynaseg.core.sizes import enlarge, limit_size
from dynaseg.mmseg.feature_cache import FeatureCache, LevelMemory
from dynaseg.mmseg.models.predictors import named


class LevelsMixin:
    """The way from images to a segmentor's features, which a cache may shorten.

    Attributes:
        cache: of the backbone's levels, or None.
        memory: of the neck's, where neither it nor the backbone is trained, or None.
    """

    def prepare_levels(
        self, backbone: str, train_cfg: Mapping, feature_cache: Mapping | None
    ) -> None:
        """Read the settings; see :class:`dynaseg.mmseg.models.DynaSeg`.

        Args:
            backbone: the backbone's config, in words.
            train_cfg: the segmentor's.
            feature_cache: likewise.

        Raises:
            ValueError: if a cache does not go with the rest.
        """
        self.sees_as_tested = train_cfg.get('as_tested', False)
        self.cache, self.memory, self.caches_tests = None, None, False
        if feature_cache is None:
            return
        with named('feature_cache'):
            settings = dict(feature_cache)
            self.caches_tests = settings.pop('tests', False)
            if self.caches_tests and not self.sees_as_tested:
                raise ValueError('tests=True needs train_cfg.as_tested=True')
            view = self.sees_as_tested, self.predict_scale, self.predict_pixels
            # "of pixels": files that are named by normalised images' digests are another folder's.
            seen = f'{backbone} of pixels, {self.normalise} {view}'
            self.cache = FeatureCache(self.backbone, seen, **settings)
        if self.with_neck and not any(one.requires_grad for one in self.neck.parameters()):
            self.memory = LevelMemory(self.neck)

    def training_levels(self, img: Tensor) -> list[Tensor]:
        """Compute the backbone's levels of training images, or find them in the cache.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).

        Returns:
            The levels, each (N, C, h, w).
        """
        return self._compute(img) if self.cache is None else self.cache(img, self._compute)

    def training_neck_levels(self, img: Tensor) -> Sequence[Tensor]:
        """Compute what the head sees of training images, pixels as above, or remember it."""

        def compute(img: Tensor) -> Sequence[Tensor]:
            return self.apply_neck(self.training_levels(img))

        return compute(img) if self.memory is None else self.memory(img, compute)

    def test_levels(self, img: Tensor) -> list[Tensor]:
        """Compute the backbone's levels of test images: pixels as in training."""
        if self.caches_tests:
            return self.cache(img, self._compute)
        return self.backbone(self._see_as_in_tests(self.normalise(img)))

    def _compute(self, img: Tensor) -> list[Tensor]:
        img = self.normalise(img)
        return self.backbone(self._see_as_in_tests(img) if self.sees_as_tested else img)

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
