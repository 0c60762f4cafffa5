import mmcv.runner
import numpy as np
import pytest
import torch
from mmcv import ConfigDict
from mmcv.parallel import MMDataParallel
from mmcv.runner import HOOKS, build_runner
from mmcv.utils import get_logger
from mmseg.models import build_segmentor

import dynaseg.mmseg  # noqa: F401  (registers the models)
from dynaseg.mmseg import KMeansStartHook


class Patches(torch.utils.data.Dataset):
    """Images of three colours, in equal halves."""

    COLOURS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])

    def __len__(self):
        return 6

    def __getitem__(self, index):
        img = torch.zeros(3, 32, 48)
        img[:, :, :24] = self.COLOURS[index % 3, :, None, None]
        img[:, :, 24:] = self.COLOURS[(index + 1) % 3, :, None, None]
        noise = torch.randn(img.shape, generator=torch.Generator().manual_seed(index))
        return {'img': img + 0.02 * noise, 'img_metas': {}}


def build(clusters=3):
    torch.manual_seed(0)
    config = {
        'type': 'DynaSeg',
        'backbone': {'type': 'PlainCNN', 'channels': 6, 'num_blocks': 1},
        'decode_head': {'type': 'ResponseHead', 'in_channels': 6, 'num_classes': clusters},
        'img_norm_cfg': {'mean': [0.0] * 3, 'std': [1.0] * 3},
    }
    return build_segmentor(ConfigDict(config))


def train(model, iterations, hook, **state):
    model = MMDataParallel(model, device_ids=[])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    runner = build_runner(
        {'type': 'IterBasedRunner', 'max_iters': iterations},
        {
            'model': model,
            'optimizer': optimizer,
            'logger': get_logger('test'),
            'work_dir': None,
            'meta': {'seed': state.get('seed')},
        },
    )
    runner._iter = state.get('iter', 0)
    runner.register_hook(hook)
    loader = torch.utils.data.DataLoader(
        Patches(),
        batch_size=3,
        collate_fn=lambda items: {
            'img': torch.stack([item['img'] for item in items]),
            'img_metas': [item['img_metas'] for item in items],
        },
    )
    runner.run([loader], [('train', 1)])
    return runner


def test_clusters_start_at_the_centroids():
    model = build()
    train(model, 1, KMeansStartHook(num_images=6, pixels_per_image=40))
    model.eval()
    patches = Patches()
    with torch.no_grad():
        imgs = [patches[index]['img'] for index in range(len(patches))]
        labels = [model.response(model.normalise(img[None])).argmax(1)[0] for img in imgs]
    left = [int(label[8:24, 8:16].flatten().mode().values) for label in labels]
    assert sorted(left[:3]) == [0, 1, 2]  # a cluster a colour
    assert left[3:] == left[:3]
    for index, label in enumerate(labels):
        assert int(label[8:24, 32:40].flatten().mode().values) == left[(index + 1) % 3]


def test_pixels_are_drawn_by_the_seed_of_the_training():
    weights = []
    for seed, hook in ((0, {}), (1, {}), (0, {'seed': 1})):
        model = build()
        train(model, 1, KMeansStartHook(pixels_per_image=20, **hook), seed=seed)
        weights.append(model.decode_head.conv_seg.weight.detach().flatten().sort().values)
    assert not torch.equal(weights[0], weights[1])
    assert torch.equal(weights[1], weights[2])


def test_only_the_head_of_a_new_training_is_set():
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, 3, HOOKS.build({'type': 'KMeansStartHook', 'num_images': 2}), iter=1)
    assert torch.equal(model.decode_head.conv_seg.weight, before['decode_head.conv_seg.weight'])
    train(model, 1, KMeansStartHook(num_images=2))
    assert not torch.equal(model.decode_head.conv_seg.weight, before['decode_head.conv_seg.weight'])
    first = 'backbone.blocks.0.0.weight'
    assert torch.equal(model.state_dict()[first], before[first])
    assert model.training


def test_a_head_of_which_the_checkpoint_has_another_size_is_set():
    model, other = build(), build(clusters=5)
    model.allow_missing = ('decode_head.',)
    weights = other.state_dict()
    mmcv.runner.load_state_dict(model, weights)  # skips what does not fit
    assert model.was_loaded
    before = model.decode_head.conv_seg.weight.clone()
    train(model, 1, KMeansStartHook(num_images=2))
    assert not torch.equal(model.decode_head.conv_seg.weight, before)
    mmcv.runner.load_state_dict(other, weights)
    train(other, 1, KMeansStartHook(num_images=2))
    assert torch.equal(other.decode_head.conv_seg.weight, weights['decode_head.conv_seg.weight'])


def test_a_normalisation_without_weights_to_set_is_refused():
    head = build().decode_head
    head.norm = torch.nn.BatchNorm2d(3, affine=False)
    with pytest.raises(ValueError, match='must be an affine batch normalisation'):
        head.start_from_centroids(torch.zeros(3, 6), torch.zeros(9, 6))


@pytest.mark.parametrize('training', [True, False])
def test_strongest_response_is_the_nearest_centroid(training):
    head = build(clusters=5).decode_head.train(training)
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(400, 6)) * rng.uniform(0.2, 2, 6) + 1).float()
    centroids = features[:5]
    head.start_from_centroids(centroids, features, scale=2.0)
    with torch.no_grad():
        response = head([features.T[None, :, :, None]])[0, :, :, 0]
    nearest = torch.cdist(features, centroids).argmin(1)
    # In training the batch's own variance is the biased one.
    assert (response.argmax(0) == nearest).float().mean() > (0.99 if training else 0.9999)
    assert response.std(dim=1).mean() == pytest.approx(2.0, rel=0.01)


def test_centroids_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r'centroids must be \(3, 6\), got \(2, 6\)'):
        build().decode_head.start_from_centroids(torch.zeros(2, 6), torch.zeros(9, 6))


def test_more_clusters_than_pixels_are_refused():
    hook = KMeansStartHook(num_images=2, pixels_per_image=3)
    with pytest.raises(ValueError, match=r'num_classes=7: .* only 6 pixels'):
        train(build(7), 1, hook)
