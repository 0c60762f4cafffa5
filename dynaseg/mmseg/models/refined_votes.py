from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from dynaseg.core import ProbabilityRefinement
from dynaseg.core.refinement import keep_labels
from dynaseg.core.regions import average_over_superpixels
from dynaseg.core.sizes import resize_maps
from dynaseg.core.voting import give_to_strongest, sum_groups
from dynaseg.io.names import ClusterNames, read_names
from dynaseg.mmseg.models.inputs import refuse_normalised, to_image
from dynaseg.mmseg.models.predictors import named


class RefinedVotesMixin:
    """Sums the probabilities of a segmentor's clusters by name, and refines them along edges.

    Attributes:
        refinement: the refinement along the edges of images, or None.
        averages_superpixels: whether probabilities are then averaged over each superpixel.
        keeps_labels: whether each cluster, or name, that an image has without the refinement is
            one that it has.
        groups: the number of each cluster's group, which votes together, or None.
        names: names of the clusters, if ``test_cfg`` has them.
    """

    def prepare_votes(self, test_cfg: Mapping) -> None:
        """Read the entries ``refine``, ``superpixels``, ``keep`` and ``names`` of a ``test_cfg``.

        Raises:
            FileNotFoundError, ValueError, TypeError: if one is invalid; it is named.
        """
        self.refinement = self.groups = self.names = None
        self.averages_superpixels = _read_flag(test_cfg, 'superpixels')
        self.keeps_labels = _read_flag(test_cfg, 'keep')
        if self.keeps_labels and test_cfg.get('refine') is None:
            raise ValueError('test_cfg.keep needs refine: nothing else takes clusters away')
        if test_cfg.get('refine') is not None:
            with named('test_cfg.refine'):
                self.refinement = ProbabilityRefinement(**test_cfg['refine'])
        if test_cfg.get('names') is not None:
            with named('test_cfg.names'):
                self.names = read_names(test_cfg['names'])
                self.vote_by_names(self.names)

    def inference(self, img: Tensor, img_meta: list[dict], rescale: bool) -> Tensor:
        """Compute the probabilities of the clusters, refined if ``test_cfg`` says so.

        Args:
            img: pixels, BGR, 0 to 255, (N, 3, H, W).
            img_meta: one dict per image, as the test pipeline gives it.
            rescale: whether to return them at the images' original size.

        Returns:
            The probabilities, (N, q, H, W), of the images as they were before any flip.
        """
        return self._decide(*self._count_votes(img, img_meta, rescale))

    def inference_of_views(
        self, views: Sequence[Tensor], metas: Sequence[list[dict]], rescale: bool
    ) -> Tensor:
        """Compute the mean probabilities of several views of an image, such as its mirror image.

        Args:
            views: pixels of each, BGR, 0 to 255, (1, 3, H, W).
            metas: one dict for each, in a list; see :meth:`inference`.
            rescale: whether to return them at the image's original size, which is also that of the
                views if not.

        Returns:
            The probabilities, (1, q, H, W). Of clusters that vote together, the one that is
            strongest in the mean has those of all.
        """
        total = None
        for view, meta in zip(views, metas, strict=True):
            votes = self._count_votes(view, meta, rescale)
            total = votes if total is None else [a + b for a, b in zip(total, votes, strict=True)]
        return self._decide(*(part / len(views) for part in total))

    def _count_votes(
        self, img: Tensor, img_meta: list[dict], rescale: bool
    ) -> tuple[Tensor, Tensor]:
        """Compute the refined probabilities of the groups of clusters, and those of clusters."""
        refuse_normalised(img_meta)
        probabilities = super().inference(img, img_meta, rescale)
        votes = probabilities
        if self.groups is not None:
            votes = sum_groups(probabilities, self.groups)
        return self._refine(votes, img, img_meta, rescale), probabilities

    def _decide(self, votes: Tensor, probabilities: Tensor) -> Tensor:
        """Give the votes of each group to the strongest of its clusters."""
        if self.groups is None:
            return votes
        return give_to_strongest(votes, probabilities, self.groups)

    @contextmanager
    def unrefined(self) -> Iterator[None]:
        """Skip what only moves borders, for pixel counts that need not be exact."""
        settings = self.refinement, self.averages_superpixels
        self.refinement, self.averages_superpixels = None, False
        try:
            yield
        finally:
            self.refinement, self.averages_superpixels = settings

    def _refine(
        self,
        probabilities: Tensor,
        pixels: Tensor,
        img_meta: list[dict],
        rescale: bool,
    ) -> Tensor:
        def fit(seen: Tensor) -> Tensor:
            """Align what the network saw with the probabilities, in place and size."""
            if rescale:  # which leaves the padding out
                height, width = img_meta[0]['img_shape'][:2]
                seen = seen[:, :, :height, :width]
            if img_meta[0]['flip']:
                dim = {'horizontal': 3, 'vertical': 2}[img_meta[0]['flip_direction']]
                seen = seen.flip(dims=(dim,))
            return resize_maps(seen, probabilities.shape[2:])

        maps = [probabilities]
        if self.refinement is not None:
            maps = [self.refinement(probabilities, fit(self.normalise(pixels)))]
            maps += [probabilities] * self.keeps_labels
        if self.averages_superpixels:
            averaged = [
                average_over_superpixels(one, to_image(image))
                for one, image in zip(torch.cat(maps, dim=1), fit(pixels.float()), strict=True)
            ]
            maps = torch.stack(averaged).chunk(len(maps), dim=1)
        return keep_labels(*maps) if len(maps) > 1 else maps[0]

    def vote_by_names(self, names: ClusterNames) -> None:
        """Let the clusters of one name vote together from now on, whenever images are labelled.

        A pixel gets the name with the largest probability, and the strongest of its clusters.

        Raises:
            ValueError: if there are names of clusters that the head does not have.
        """
        self.groups = self.find_groups(names)

    @contextmanager
    def voting(self, groups: Tensor | None) -> Iterator[None]:
        """Let the clusters of each group, as :meth:`find_groups` numbers them, vote together."""
        before = self.groups
        self.groups = groups
        try:
            yield
        finally:
            self.groups = before

    def find_groups(self, names: ClusterNames) -> Tensor:
        """Number the groups of clusters that have one name; the group of each, (q,).

        Raises:
            ValueError: if there are names of clusters that the head does not have.
        """
        labels, _ = names.number_labels(self.num_classes)
        unnamed = [cluster not in names.names for cluster in range(self.num_classes)]
        groups = torch.from_numpy(labels)
        # Clusters without a name have nothing in common.
        groups[unnamed] = groups.max() + torch.arange(sum(unnamed))
        return groups


def _read_flag(test_cfg: Mapping, key: str) -> bool:
    value = test_cfg.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f'test_cfg.{key} must be True or False, got {value!r}')
    return value
