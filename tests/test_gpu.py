"""What a GPU computes is what a CPU does; run by ``make check-gpu``."""

import numpy as np
import pytest
import torch

from dynaseg.api import load_predictor
from dynaseg.core import DynaSegLoss, ProbabilityRefinement
from dynaseg.core.regions import average_over_superpixels
from dynaseg.core.smoothness import SmoothnessLoss

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU'),
]


@pytest.fixture
def device():
    return torch.device('cuda')


def test_the_loss_and_its_gradient(device):
    response = torch.randn(2, 9, 20, 30, generator=torch.Generator().manual_seed(0))
    values, gradients = [], []
    for place in (torch.device('cpu'), device):
        seen = response.to(place, copy=True).requires_grad_()
        parts = DynaSegLoss(weighting='fsf', mu=7.5, entropy_weight=2.0)(seen)
        total = sum(value for name, value in parts.items() if name.startswith('loss'))
        total.backward()
        values.append(total.item())
        gradients.append(seen.grad.cpu())
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_smoothness(device):
    generator = torch.Generator().manual_seed(0)
    response = torch.randn(2, 5, 12, 16, generator=generator)
    features = torch.randn(2, 8, 12, 16, generator=generator)
    loss = SmoothnessLoss(stride=1, least_share=0.3)
    expected = loss(response, features)
    found = loss(response.to(device), features.to(device))
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-3, abs=1e-5), name


def test_probabilities_along_edges(device):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 6, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
    probabilities = torch.randn(1, 4, 64, 96).softmax(dim=1)
    refine = ProbabilityRefinement(subsample=4)
    expected = refine(probabilities, pixels)
    found = refine(probabilities.to(device), pixels.to(device))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)
    averaged = average_over_superpixels(probabilities[0].to(device), image)
    torch.testing.assert_close(averaged.cpu(), average_over_superpixels(probabilities[0], image))


def test_photographs_are_segmented_alone_and_together(device):
    rng = np.random.default_rng(0)
    image = rng.integers(40, 60, (48, 64, 3), np.uint8)
    image[:, 32:] += 150
    predictor, _ = load_predictor(device=device)
    for segmentation in [*predictor([image]), *predictor([image] * 3)]:
        regions = segmentation.hierarchy.cut_to(2)
        assert len(np.unique(regions)) == 2
        assert (regions == regions[0, 0]).mean(axis=0)[:32].mean() > 0.95
        assert (regions == regions[0, 0]).mean(axis=0)[32:].mean() < 0.05


def test_starts_of_fits_are_those_of_a_cpu(device):
    model = 'dynaseg/segment.py'
    starts = [load_predictor(model, device=place)[0].networks for place in ('cpu', device)]
    for one, other in zip(*starts, strict=True):
        for weight, found in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(weight, found.cpu())
