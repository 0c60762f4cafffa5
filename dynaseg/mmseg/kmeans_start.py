import numpy as np
import torch
from mmcv.runner import HOOKS, Hook, IterBasedRunner
from mmcv.utils import print_log
from torch import Tensor

from dynaseg.mmseg.training_images import (
    evaluating,
    share_state,
    training_images,
    training_seed,
)


@HOOKS.register_module()
class KMeansStartHook(Hook):
    """Starts a training from the clusters of K-means over the whole training set.

    Before the first iteration it collects features of training images, as the pipeline gives them,
    runs K-means, as PiCIE does (Cho et al., CVPR 2021), and sets the head's weights so that the
    argmax of the response map is the nearest centroid. The response of a :class:`ResponseHead` is
    then s (2 c_k f - |c_k|^2) for a feature f and the centroid c_k; that of a
    :class:`ProjectionHead` is their cosine over its temperature, whose argmax is the nearest
    centroid if features have unit length.

    Args:
        num_images: images whose features are collected.
        pixels_per_image: pixels drawn from each of them.
        scale: standard deviation of the responses, averaged over the clusters: how confident the
            start is.
        seed: seed of the drawn pixels and of K-means; by default that of the training.
    """

    def __init__(
        self,
        num_images: int = 300,
        pixels_per_image: int = 100,
        scale: float = 1.0,
        seed: int | None = None,
    ) -> None:
        self.num_images = num_images
        self.pixels_per_image = pixels_per_image
        self.scale = scale
        self.seed = seed

    def before_train_iter(self, runner: IterBasedRunner) -> None:
        """Set the head's weights before the first iteration, unless a checkpoint has set them."""
        model = runner.model.module
        head = model.decode_head
        if runner.iter > 0 or head.was_loaded:
            return
        from sklearn.cluster import KMeans  # slow to import, and rarely needed

        seed = training_seed(runner) if self.seed is None else self.seed
        features = self._collect(runner, seed)
        if len(features) < head.num_classes:
            raise ValueError(
                f'decode_head.num_classes={head.num_classes}: the training images gave only '
                f'{len(features)} pixels of features for K-means (num_images='
                f'{self.num_images}, pixels_per_image={self.pixels_per_image})'
            )
        # Mini-batch K-means gives other clusters for other seeds; K-means on all pixels does not.
        kmeans = KMeans(head.num_classes, n_init=10, max_iter=100, random_state=seed)
        kmeans.fit(features.numpy())
        head.start_from_centroids(torch.from_numpy(kmeans.cluster_centers_), features, self.scale)
        share_state(head)  # each process has seen different augmentations
        print_log(
            f'clusters start at {head.num_classes} centroids of K-means over '
            f'{len(features)} pixels',
            runner.logger,
        )

    def _collect(self, runner: IterBasedRunner, seed: int) -> Tensor:
        """Compute the features that the head sees, at some pixels of some images, (N, C)."""
        model = runner.model.module
        rng = np.random.default_rng(seed)
        drawn = []
        with evaluating(model):
            for img in training_images(runner, self.num_images, seed):
                features = model.features(img)[0].flatten(1).T.cpu()
                size = min(self.pixels_per_image, len(features))
                drawn.append(features[rng.choice(len(features), size, replace=False)])
        return torch.cat(drawn)
