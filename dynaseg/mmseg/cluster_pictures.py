from pathlib import Path

import numpy as np
from mmcv.runner import HOOKS, Hook, IterBasedRunner, master_only
from mmcv.runner.hooks import TensorboardLoggerHook
from PIL import Image
from torch import Tensor

from dynaseg.io.files import write_file
from dynaseg.io.palette import distinct_palette
from dynaseg.io.writing import encode_jpeg
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.models.inputs import to_image
from dynaseg.mmseg.training_images import evaluating, training_images

OPACITY = 0.5


@HOOKS.register_module()
class ClusterPicturesHook(Hook):
    """Draws the clusters of some training images while a network is trained.

    It belongs in ``log_config.hooks``, beside the loggers. Before the first iteration, every
    ``interval`` iterations and after the last one it writes
    ``WORK_DIR/clusters/IMAGE/iter_ITERATION.jpg`` for each image, showing it beside its clusters,
    and adds the same picture to TensorBoard if the training logs to it. An image is always drawn
    with the same augmentations, clusters have the same colours as in label maps, and the pictures
    do not affect the training.

    Args:
        interval: iterations between two pictures, at least 1; if the config gives none, MMCV
            passes that of ``log_config``.
        num_images: number of images drawn, evenly spaced in the training set, at least 1.
        by_epoch: not used; MMCV passes it to every hook of ``log_config``.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, interval: int = 50, num_images: int = 4, by_epoch: bool = False) -> None:
        if interval < 1 or num_images < 1:
            raise ValueError(
                f'interval and num_images must be at least 1, got {interval} and {num_images}'
            )
        self.interval = interval
        self.num_images = num_images

    def before_train_iter(self, runner: IterBasedRunner) -> None:
        """Draw the initial clusters, after the hooks that set them."""
        if runner.iter == 0:
            self._draw(runner, 0)

    def after_train_iter(self, runner: IterBasedRunner) -> None:
        """Draw the clusters trained so far."""
        if self.every_n_iters(runner, self.interval) or self.is_last_iter(runner):
            self._draw(runner, runner.iter + 1)

    @master_only
    def _draw(self, runner: IterBasedRunner, iteration: int) -> None:
        model = runner.model.module
        if not hasattr(model, 'predict'):
            raise UserError(f'ClusterPicturesHook draws clusters of a DynaSeg, not {type(model)}')
        writers = [hook.writer for hook in runner.hooks if isinstance(hook, TensorboardLoggerHook)]
        with evaluating(model):
            for number, img in enumerate(training_images(runner, self.num_images, seed=0)):
                picture = draw_clusters(img, model.predict(img, img.shape[2:]))
                folder = Path(runner.work_dir, 'clusters', str(number))
                folder.mkdir(parents=True, exist_ok=True)
                content = encode_jpeg(Image.fromarray(picture))
                write_file(folder / f'iter_{iteration:06}.jpg', content)
                for writer in writers:
                    writer.add_image(f'clusters/{number}', picture, iteration, dataformats='HWC')


def draw_clusters(img: Tensor, probabilities: Tensor) -> np.ndarray:
    """Draw an image and, beside it, its clusters in their colours.

    Args:
        img: pixels, BGR, 0 to 255, (1, 3, H, W).
        probabilities: of the clusters, (1, q, h, w).

    Returns:
        RGB, uint8, (H, 2 W, 3).
    """
    photo = Image.fromarray(to_image(img[0]))
    labels = probabilities[0].argmax(dim=0).cpu().numpy()
    colours = Image.fromarray(distinct_palette(probabilities.shape[1])[labels])
    colours = colours.resize(photo.size, Image.Resampling.NEAREST)
    return np.concatenate([photo, Image.blend(photo, colours, OPACITY)], axis=1)
