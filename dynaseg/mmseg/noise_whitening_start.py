import numpy as np
import torch
import torch.nn.functional as F
from mmcv.runner import HOOKS, Hook, IterBasedRunner
from mmcv.utils import print_log
from skimage.color import rgb2lab
from torch import Tensor

from dynaseg.core.whitening import NoiseStatistics, fit_whitening
from dynaseg.mmseg.models.noise_whitening import NoiseWhitening
from dynaseg.mmseg.training_images import (
    evaluating,
    share_state,
    training_images,
    training_seed,
)


@HOOKS.register_module()
class NoiseWhiteningHook(Hook):
    """Fits a :class:`~dynaseg.mmseg.models.NoiseWhitening` to the training set.

    Before the first iteration it adds up the statistics of training images, as the pipeline gives
    them; see :func:`dynaseg.core.whitening.fit_whitening`. List it before ``KMeansStartHook``,
    which clusters the output of the neck.

    Args:
        num_images: number of images used, evenly spaced.
        components: number of eigenvectors onto which features are projected first.
        ridge: share of white noise that is added.
        contrast: the distance in CIELAB from which neighbours count as different.
        pixels_per_image: see ``max_places`` of :class:`dynaseg.core.whitening.NoiseStatistics`; for
            features with thousands of channels.
    """

    def __init__(
        self,
        num_images: int = 300,
        components: int = 128,
        ridge: float = 0.3,
        contrast: float = 12.0,
        pixels_per_image: int | None = None,
    ) -> None:
        self.num_images = num_images
        self.components = components
        self.ridge = ridge
        self.contrast = contrast
        self.pixels_per_image = pixels_per_image

    def before_train_iter(self, runner: IterBasedRunner) -> None:
        """Fit the neck before the first iteration, unless a checkpoint has set it.

        Raises:
            ValueError: if the model has another neck, whose ``out_channels`` may be too many, or
                the images have no noise.
        """
        model = runner.model.module
        neck = model.neck if model.with_neck else None
        if runner.iter > 0 or getattr(neck, 'was_loaded', False):
            return
        if not isinstance(neck, NoiseWhitening):
            raise ValueError(
                "NoiseWhiteningHook needs a neck of type 'NoiseWhitening', got "
                f'{type(neck).__name__!r}'
            )
        dimensions, num_channels = neck.matrix.shape
        if dimensions > min(self.components, num_channels):
            raise ValueError(
                f'model.neck.out_channels={dimensions}: expected at most the components of '
                f'NoiseWhiteningHook ({self.components}) and the channels of the features '
                f'({num_channels})'
            )
        statistics = NoiseStatistics(num_channels, self.contrast, self.pixels_per_image)
        with evaluating(model):
            for img in training_images(runner, self.num_images, training_seed(runner)):
                features = neck.align(model.training_levels(img))[0].cpu()
                statistics.add(features, mean_lab(img, features.shape[1:]))
        neck.set_transform(fit_whitening(statistics, self.components, dimensions, self.ridge))
        share_state(neck)
        print_log(
            f'noise whitening is fitted to {statistics.num_pairs} pairs of similar neighbours',
            runner.logger,
        )


def mean_lab(img: Tensor, size: tuple[int, int]) -> Tensor:
    """Compute the mean colours of an image's cells.

    Args:
        img: pixels, BGR, 0 to 255, (1, 3, H, W).
        size: number of cells, (h, w).

    Returns:
        CIELAB, (3, h, w).
    """
    cells = F.adaptive_avg_pool2d(img.float(), size)[0].flip(0).cpu().numpy() / 255
    lab = rgb2lab(np.clip(cells, 0, 1), channel_axis=0)
    return torch.from_numpy(lab).float()
