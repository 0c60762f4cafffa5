import torch
import torch.nn.functional as F
from mmcv import ConfigDict
from mmseg.models import build_segmentor

import dynaseg.mmseg  # noqa: F401  (registers the models)
from dynaseg.mmseg.models import ProjectionHead
from dynaseg.mmseg.scratch import initialise


def make_features(images=2):
    generator = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(images, 6, 5, 7, generator=generator), dim=1)


def test_it_begins_as_the_cosine_similarity_with_the_centroids():
    head = ProjectionHead(in_channels=6, num_classes=3, temperature=0.5)
    centroids = torch.randn(3, 6)
    head.start_from_centroids(centroids, features=torch.zeros(1, 6))
    features = make_features()
    expected = torch.einsum('kc,nchw->nkhw', F.normalize(centroids, dim=1), features) / 0.5
    torch.testing.assert_close(head([features]), expected)


def test_the_projection_and_the_prototypes_are_trained_and_the_features_are_not():
    head = ProjectionHead(in_channels=6, num_classes=3)
    features = make_features()
    optimizer = torch.optim.SGD([one for one in head.parameters() if one.requires_grad], lr=1.0)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    for _ in range(2):  # the first step moves the second convolution alone, which begins as zero
        parts = head.losses(head([features]), levels=[features])
        optimizer.zero_grad()
        (parts['loss_within'] + parts['loss_across']).backward()
        optimizer.step()
    changed = {name for name, value in head.state_dict().items() if not value.equal(before[name])}
    assert changed == set(before) - {'conv_seg.bias'}


def test_fresh_weights_begin_as_the_identity_too():
    config = {
        'type': 'DynaSeg',
        'backbone': {'type': 'PlainCNN', 'channels': 6, 'num_blocks': 1},
        'decode_head': {'type': 'ProjectionHead', 'in_channels': 6, 'num_classes': 3},
    }
    model = build_segmentor(ConfigDict(config))
    initialise(model, seed=3)
    assert not model.decode_head.project[2].weight.any()
    losses = model.forward_train(torch.randint(256, (2, 3, 16, 16)), [{}, {}])
    assert {'loss_within', 'loss_across'} < set(losses)
