"""Moving the borders of labels to the edges of their image.

References:
    He, Sun, Tang: Guided image filtering, TPAMI 2013
    He, Sun: Fast guided filter, 2015, https://arxiv.org/abs/1505.00996
    Hosni, Rhemann, Bleyer, Rother, Gelautz: Fast cost-volume filtering for visual correspondence
    and beyond, TPAMI 2013
"""

import itertools
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor

FLAT = 1e-6  # of an image's largest value: less spread than this is rounding
CHANNELS_AT_ONCE = 4  # bounds the memory to some forty float32 maps of the image's size


class GuidedFilter:
    """Smooths maps, but not across the edges of a guide (He et al., TPAMI 2013, section 3.5).

    In every window a map is modelled as a linear function of the guide's three channels, fitted by
    ridge regression; a pixel's value is the mean over the windows that contain it. Windows end at
    the border of the image. The time hardly depends on the radius.

    With ``subsample``, the linear functions are fitted on a guide and maps that are smaller by this
    factor (He and Sun, 2015), which takes a fraction of the time; their means are enlarged and
    applied to the full-size guide.

    Args:
        guide: image, (1, 3, H, W).
        radius: of the windows, which are (2 radius + 1) pixels wide.
        eps: the ridge, a variance: where the guide varies less than this, there is no edge.
        subsample: factor of height and width.

    Examples:
        >>> guide = torch.zeros(1, 3, 4, 8)
        >>> guide[..., 4:] = 1.0
        >>> step = torch.zeros(1, 1, 4, 8)
        >>> step[..., 5:] = 1.0  # a pixel beside the edge
        >>> filtered = GuidedFilter(guide, radius=2, eps=1e-3)(step)
        >>> (filtered > 0.5)[0, 0, 0].tolist()
        [False, False, False, False, True, True, True, True]
    """

    def __init__(self, guide: Tensor, radius: int, eps: float, subsample: int = 1) -> None:
        self.radius = max(1, round(radius / subsample))
        self.full_guide = guide.split(1, dim=1)
        self.size = [-(-length // subsample) for length in guide.shape[2:]]
        guide = F.interpolate(guide, self.size, mode='area') if subsample > 1 else guide
        self.guide = guide.split(1, dim=1)
        # Channels of grey images are correlated: in float32 the inverse would lose all its digits.
        exact = guide.double()
        mean = self._box(exact).split(1, dim=1)
        self.mean = [one.to(guide.dtype) for one in mean]
        exact = exact.split(1, dim=1)
        pairs = list(itertools.combinations_with_replacement(range(3), 2))
        (rr, rg, rb, gg, gb, bb) = (
            self._box(exact[i] * exact[j]) - mean[i] * mean[j] + (eps if i == j else 0.0)
            for i, j in pairs
        )
        # The inverse of a symmetric 3 x 3 matrix at every pixel, by cofactors.
        cofactors = (
            (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb),
            (None, rr * bb - rb * rb, rg * rb - rr * gb),
            (None, None, rr * gg - rg * rg),
        )
        determinant = rr * cofactors[0][0] + rg * cofactors[0][1] + rb * cofactors[0][2]
        self.inverse = [
            [(cofactors[min(i, j)][max(i, j)] / determinant).to(guide.dtype) for j in range(3)]
            for i in range(3)
        ]

    def __call__(self, maps: Tensor) -> Tensor:
        """Filter maps, (1, C, H, W), each on its own; return the same shape."""
        size = maps.shape[2:]
        is_small = list(size) != self.size
        maps = F.interpolate(maps, self.size, mode='area') if is_small else maps
        means = self._box(maps)
        covariances = [
            torch.addcmul(self._box(guide * maps), mean, means, value=-1)
            for guide, mean in zip(self.guide, self.mean, strict=True)
        ]
        slopes = [
            sum(entry * covariance for entry, covariance in zip(row, covariances, strict=True))
            for row in self.inverse
        ]
        offset = means - sum(slope * mean for slope, mean in zip(slopes, self.mean, strict=True))
        offset, *slopes = (self._box(one) for one in (offset, *slopes))
        if is_small:
            offset, *slopes = (
                F.interpolate(one, size, mode='bilinear') for one in (offset, *slopes)
            )
        return offset + sum(
            slope * guide for slope, guide in zip(slopes, self.full_guide, strict=True)
        )

    def _box(self, maps: Tensor) -> Tensor:
        return box_mean(maps, self.radius)


def box_mean(maps: Tensor, radius: int) -> Tensor:
    """Average maps over the window of every pixel, which ends at the border of the image.

    Sums of 1, 2, 4, ... neighbours are built from each other, and a window's sum from those whose
    lengths add up to its width: the time grows with the logarithm of the width, and no sum is long
    enough to lose digits.

    Args:
        maps: floating point, (N, C, H, W).
        radius: of the windows, which are (2 radius + 1) pixels wide.

    Returns:
        The means, of the same shape.

    Examples:
        >>> box_mean(torch.tensor([[[[1.0, 2.0, 6.0]]]]), radius=1)
        tensor([[[[1.5000, 3.0000, 4.0000]]]])
    """
    for dim, padding in ((3, (radius, radius)), (2, (0, 0, radius, radius))):
        length = maps.shape[dim]
        position = torch.arange(length, device=maps.device)
        first, last = (position - radius).clamp(min=0), (position + radius).clamp(max=length - 1)
        count = (last - first + 1).view(-1, *[1] * (3 - dim))
        runs, total = F.pad(maps, padding), torch.zeros_like(maps)
        start, size, rest = 0, 1, 2 * radius + 1
        while rest:  # the binary digits of the width; runs are sums of `size` neighbours
            if rest % 2:
                total += runs.narrow(dim, start, length)
                start += size
            rest //= 2
            if rest:
                size_left = runs.shape[dim] - size
                runs = runs.narrow(dim, 0, size_left) + runs.narrow(dim, size, size_left)
                size *= 2
        maps = total / count
    return maps


def filter_for(image: Tensor, radius: int, eps: float, subsample: int = 1) -> GuidedFilter | None:
    """Make the filter guided by an image; ``eps`` is a share of the image's variance.

    Args:
        image: the image, with values in any scale, (1, 3, H, W).
        radius: of the filter's windows, in pixels.
        eps: the filter's ridge, as a share of the image's variance.
        subsample: see :class:`GuidedFilter`.

    Returns:
        The filter, or None for an image without edges.
    """
    guide = image - image.mean(dim=(2, 3), keepdim=True)
    spread = guide.square().mean().sqrt()
    # A constant image may differ from its mean by rounding.
    has_edges = spread > FLAT * image.abs().max()
    return GuidedFilter(guide / spread, radius, eps, subsample) if has_edges else None


class ProbabilityRefinement:
    """Smooths the probabilities of labels, but not across the edges of the image.

    Each label's map of probabilities goes through a guided filter. It suits networks whose features
    are coarser than the image: the outlines of their labels then follow the image's edges. The
    filter is linear and leaves constants as they are, so a pixel's probabilities still sum to one;
    next to an edge one may be slightly negative.

    Args:
        radius: of the filter's windows, in pixels.
        eps: the filter's ridge, as a share of the image's variance.
        subsample: see :class:`GuidedFilter`; 4 is ten times faster, with almost the same result.

    Raises:
        ValueError: if an argument is out of range.

    Examples:
        >>> image = torch.zeros(1, 3, 4, 8)
        >>> image[..., 4:] = 1.0
        >>> ramp = torch.linspace(0.1, 0.8, 8).expand(1, 1, 4, 8)
        >>> refined = ProbabilityRefinement(radius=7)(torch.cat([1 - ramp, ramp], dim=1), image)
        >>> [round(value, 1) for value in refined[0, 1, 0].tolist()]
        [0.3, 0.3, 0.3, 0.3, 0.6, 0.6, 0.6, 0.6]
    """

    def __init__(self, radius: int = 16, eps: float = 0.01, subsample: int = 1) -> None:
        _check_filter(radius, eps)
        if not (isinstance(subsample, int) and subsample >= 1):
            raise ValueError(f'subsample must be an integer of at least 1, got {subsample!r}')
        self.radius = radius
        self.eps = eps
        self.subsample = subsample

    def __call__(self, probabilities: Tensor, image: Tensor) -> Tensor:
        """Refine probabilities.

        Args:
            probabilities: of each label, (N, C, H, W).
            image: the images, with values in any scale, (N, 3, H, W).

        Returns:
            The probabilities, (N, C, H, W).
        """
        refined = []
        for one, guide in zip(probabilities.split(1), image.split(1), strict=True):
            guided_filter = filter_for(guide, self.radius, self.eps, self.subsample)
            if guided_filter is not None:
                parts = one.split(CHANNELS_AT_ONCE, dim=1)
                one = torch.cat([guided_filter(part) for part in parts], dim=1)
            refined.append(one)
        return torch.cat(refined)


def keep_labels(refined: Tensor, probabilities: Tensor) -> Tensor:
    """Undo a refinement where it takes the last pixels of a label of an image.

    Args:
        refined: probabilities of each label, (N, C, H, W).
        probabilities: those before, (N, C, H, W).

    Returns:
        The refined ones, but those before for the pixels of labels that are the most probable
        somewhere in an image before and nowhere after, (N, C, H, W). So every label of an image
        stays one.

    Examples:
        >>> before = torch.tensor([[0.9, 0.8, 0.1], [0.1, 0.2, 0.9]]).view(1, 2, 1, 3)
        >>> refined = torch.tensor([[0.8, 0.7, 0.6], [0.2, 0.3, 0.4]]).view(1, 2, 1, 3)
        >>> keep_labels(refined, before).argmax(dim=1)
        tensor([[[0, 0, 1]]])
    """
    kept = refined.clone()
    for after, before in zip(kept, probabilities, strict=True):
        labels = before.argmax(dim=0)
        present = labels.unique()
        # What is restored may take the last pixels of another label in turn.
        while len(lost := present[~torch.isin(present, after.argmax(dim=0))]):
            places = torch.isin(labels, lost)
            after[:, places] = before[:, places]
    return kept


class LabelRefinement:
    """Gives every pixel the label whose indicator is highest there after guided filtering.

    This smooths borders, moves them to the image's edges and removes specks (the filtering of label
    costs of Hosni et al., TPAMI 2013, where the cost is 0 for a pixel's label and 1 for the
    others). No new label appears.

    Args:
        radius: of the filter's windows, in pixels.
        eps: the filter's ridge, as a share of the image's variance.
        rounds: number of times to filter.

    Raises:
        ValueError: if an argument is out of range.

    Examples:
        >>> image = torch.zeros(1, 3, 4, 8)
        >>> image[..., 4:] = 1.0
        >>> labels = torch.tensor([[[0, 0, 0, 0, 0, 7, 7, 7]] * 4])
        >>> LabelRefinement(radius=2)(labels, image)[0, 0]
        tensor([0, 0, 0, 0, 7, 7, 7, 7])
    """

    def __init__(self, radius: int = 4, eps: float = 0.01, rounds: int = 1) -> None:
        _check_filter(radius, eps)
        if not (isinstance(rounds, int) and rounds >= 1):
            raise ValueError(f'rounds must be an integer of at least 1, got {rounds!r}')
        self.radius = radius
        self.eps = eps
        self.rounds = rounds

    def __call__(self, labels: Tensor, image: Tensor, min_labels: int = 1) -> Tensor:
        """Refine a label map.

        Args:
            labels: integers, (1, H, W).
            image: the image, with values in any scale, (1, 3, H, W).
            min_labels: number of labels to keep: the last round that leaves this many counts.

        Returns:
            The labels, (1, H, W).
        """
        guided_filter = filter_for(image, self.radius, self.eps)
        if guided_filter is None:
            return labels
        present = labels.unique()
        for _ in range(self.rounds):
            refined = self._refine(labels, present, guided_filter)
            left = refined.unique()
            if len(left) < min_labels:
                break
            labels, present = refined, left
        return labels

    def _refine(self, labels: Tensor, present: Tensor, guided_filter: GuidedFilter) -> Tensor:
        highest = refined = None
        for some in present.split(CHANNELS_AT_ONCE):
            indicators = (labels[..., None] == some).float().permute(0, 3, 1, 2)
            value, index = guided_filter(indicators).max(dim=1)
            if highest is None:
                highest, refined = value, some[index]
            else:
                refined = torch.where(value > highest, some[index], refined)
                highest = torch.maximum(value, highest)
        return refined


def _check_filter(radius: int, eps: float) -> None:
    if not (isinstance(radius, int) and radius >= 1):
        raise ValueError(f'radius must be an integer of at least 1, got {radius!r}')
    if not (isinstance(eps, Real) and eps > 0):
        raise ValueError(f'eps must be positive, got {eps!r}')
