import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2


class ViewConsistency:
    """Asks a second view of an image for the labels of the first, moved along with the pixels.

    The second view differs in colours and in place, so that clusters become invariant to the one
    and equivariant to the other, as in PiCIE (Cho et al., CVPR 2021). Transforms are torchvision's,
    drawn anew for every image.

    Args:
        weight: factor of the loss.
        jitter: how far brightness, contrast and saturation change, as fractions; the hue changes
            by a quarter of it, of a turn.
        min_area: least area of the crop that is scaled to the image's size, as a fraction.
        flip: probability of mirroring the view.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> consistency = ViewConsistency(jitter=0.0, min_area=1.0, flip=1.0)
        >>> img, labels = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 3, 1, 4), torch.eye(1, 4)
        >>> view, moved = consistency.draw(img, labels.long().view(1, 1, 4))
        >>> view[0, 0].tolist(), moved.tolist()
        ([[3.0, 2.0, 1.0, 0.0]], [[[0, 0, 0, 1]]])
    """

    def __init__(
        self, weight: float = 1.0, jitter: float = 0.4, min_area: float = 0.4, flip: float = 0.5
    ) -> None:
        if not weight > 0:
            raise ValueError(f'weight must be positive, got {weight!r}')
        if not 0 <= jitter <= 1:
            raise ValueError(f'jitter must lie in [0, 1], got {jitter!r}')
        if not 0 < min_area <= 1:
            raise ValueError(f'min_area must lie in (0, 1], got {min_area!r}')
        if not 0 <= flip <= 1:
            raise ValueError(f'flip must lie in [0, 1], got {flip!r}')
        self.weight = weight
        self.min_area = min_area
        self.flip = v2.RandomHorizontalFlip(flip)
        self.colours = v2.ColorJitter(jitter, jitter, jitter, jitter / 4) if jitter else None

    def draw(
        self, img: Tensor, labels: Tensor, img_norm_cfg: dict | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw a view of each image.

        Args:
            img: normalised images, (N, 3, H, W).
            labels: labels of the images, int64, (N, h, w), at any resolution.
            img_norm_cfg: ``mean`` and ``std`` of each channel, and ``to_rgb``, with which the
                images were normalised; needed for ``jitter``.

        Returns:
            The views, (N, 3, H, W), and the labels at their places, (N, h, w).
        """
        size = img.shape[2:]
        # Of the whole image, scaled by no more than the crop: the crop alone sets the scale.
        crop = v2.RandomResizedCrop(size, scale=(self.min_area, 1.0), antialias=True)
        masks = F.interpolate(labels[:, None].float(), size, mode='nearest-exact')
        views, moved = [], []
        for image, mask in zip(img, masks, strict=True):
            pair = tv_tensors.Image(image), tv_tensors.Mask(mask)
            if self.min_area < 1:
                pair = crop(*pair)
            view, mask = self.flip(*pair)
            views.append(view.as_subclass(Tensor))
            moved.append(mask.as_subclass(Tensor))
        views = torch.stack(views)
        if self.colours is not None:
            views = self._change_colours(views, img_norm_cfg)
        moved = F.interpolate(torch.stack(moved), labels.shape[1:], mode='nearest-exact')
        return views, moved[:, 0].long()

    def loss(self, response: Tensor, labels: Tensor) -> Tensor:
        """Compute the weighted cross-entropy of the views' responses, (N, q, h, w)."""
        return self.weight * F.cross_entropy(response, labels)

    def _change_colours(self, views: Tensor, img_norm_cfg: dict) -> Tensor:
        mean, std = (
            torch.tensor(img_norm_cfg[key], dtype=views.dtype, device=views.device).view(3, 1, 1)
            for key in ('mean', 'std')
        )
        colours = ((views * std + mean) / 255).clamp(0, 1)
        if not img_norm_cfg['to_rgb']:
            colours = colours.flip(1)
        colours = torch.stack([self.colours(one) for one in colours])
        if not img_norm_cfg['to_rgb']:
            colours = colours.flip(1)
        return (colours * 255 - mean) / std
