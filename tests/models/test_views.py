import numpy as np
import pytest
import torch
from mmcv import ConfigDict
from mmcv.runner import load_checkpoint, save_checkpoint
from mmseg.models import build_segmentor
from torch import nn

import dynaseg  # noqa: F401  (registers the models)
from dynaseg.models.segmentors.teacher import RunningMeanTeacher
from dynaseg.models.segmentors.views import ViewConsistency

NORM = {
    'mean': np.array([123.675, 116.28, 103.53]),
    'std': np.array([58.395, 57.12, 57.375]),
    'to_rgb': True,
}


def build(**train_cfg):
    torch.manual_seed(0)
    config = {
        'type': 'DynaSeg',
        'backbone': {'type': 'PlainCNN', 'channels': 8, 'num_blocks': 2},
        'decode_head': {'type': 'ResponseHead', 'in_channels': 8, 'num_classes': 8},
        'train_cfg': train_cfg,
    }
    return build_segmentor(ConfigDict(config))


def train(model, img):
    return model.forward_train(img, [{'img_norm_cfg': NORM}] * len(img))


def photographs(count=2, height=24, width=32):
    pixels = torch.randint(0, 256, (count, 3, height, width)).float()
    mean, std = (torch.tensor(NORM[key]).float().view(3, 1, 1) for key in ('mean', 'std'))
    return (pixels - mean) / std


def test_labels_move_along_with_the_pixels():
    torch.manual_seed(0)
    # Each quarter has a value of its own, large enough to tell after interpolation.
    labels = torch.arange(4).view(2, 2).repeat_interleave(48, 0).repeat_interleave(64, 1)
    img = labels.float().expand(6, 3, 96, 128)
    views, moved = ViewConsistency(jitter=0.0).draw(img, labels.expand(6, 96, 128))
    assert (views[:, 0].round().long() == moved).float().mean() > 0.95
    assert (views[:, 0] - moved).abs().median() < 0.01
    assert len({tuple(view.flatten().tolist()) for view in moved}) > 3  # drawn for every image
    assert moved.dtype == torch.int64


def test_labels_of_lower_resolution_move_to_the_same_places():
    torch.manual_seed(1)
    coarse = torch.arange(24).view(4, 6)
    fine = coarse.repeat_interleave(4, 0).repeat_interleave(4, 1)
    img = fine.float().expand(5, 3, 16, 24)
    views, moved = ViewConsistency(jitter=0.0, min_area=1.0).draw(img, coarse.expand(5, 4, 6))
    assert moved.shape == (5, 4, 6)
    assert torch.equal(views[:, 0, 1::4, 1::4].long(), moved)
    assert {tuple(one[0, :2].tolist()) for one in moved} == {(0, 1), (5, 4)}


@pytest.mark.parametrize('to_rgb', [True, False])
def test_colours_change_and_places_do_not(to_rgb):
    torch.manual_seed(0)
    img = photographs(3)
    consistency = ViewConsistency(jitter=0.5, min_area=1.0, flip=0.0)
    labels = torch.randint(0, 5, (3, 24, 32))
    views, moved = consistency.draw(img, labels, {**NORM, 'to_rgb': to_rgb})
    assert torch.equal(moved, labels)
    assert not torch.allclose(views, img, atol=0.05)
    mean, std = (torch.tensor(NORM[key]).float().view(3, 1, 1) for key in ('mean', 'std'))
    pixels = views * std + mean
    assert pixels.min() >= -1e-3
    assert pixels.max() <= 255.001
    for view, image in zip(views, img, strict=True):
        assert np.corrcoef(view.flatten(), image.flatten())[0, 1] > 0.5


def test_second_view_has_a_loss_that_trains():
    model = build(views={'weight': 2.0})
    losses = train(model, photographs())
    assert set(losses) == {'loss_sim', 'loss_con', 'loss_view', 'weight', 'num_clusters'}
    losses['loss_view'].backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert 'loss_view' not in train(build(), photographs())


def test_views_like_the_image_cost_what_the_similarity_does():
    model = build(views={'jitter': 0.0, 'min_area': 1.0, 'flip': 0.0, 'weight': 3.0})
    losses = train(model, photographs())
    torch.testing.assert_close(losses['loss_view'], 3 * losses['loss_sim'])


def test_teacher_is_the_running_mean_and_takes_no_gradient():
    model = build(views={}, teacher={'momentum': 0.75})
    assert not any(name.startswith('teacher') for name, weight in _trainable(model))
    optimiser = torch.optim.SGD([weight for _, weight in _trainable(model)], lr=0.1)
    seen = []
    for _ in range(3):
        seen.append(model.decode_head.conv_seg.weight.detach().clone())
        losses = train(model, photographs())
        optimiser.zero_grad()
        sum(value for name, value in losses.items() if name.startswith('loss')).backward()
        optimiser.step()
    mean = (seen[0] + seen[1]) / 2  # momenta 0, 1/2 and 2/3
    mean = mean * 2 / 3 + seen[2] / 3
    teacher = model.teacher.network[-1]
    torch.testing.assert_close(teacher.conv_seg.weight, mean)
    assert not torch.equal(teacher.conv_seg.weight, model.decode_head.conv_seg.weight)
    assert not teacher.training
    assert model.training


def _trainable(model):
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def test_momentum_limits_the_mean():
    student = nn.BatchNorm1d(1)
    teacher = RunningMeanTeacher(student, momentum=0.5)
    for value in (1.0, 3.0, 7.0):
        student.weight.data.fill_(value)
        student.running_mean.fill_(-value)
        student.num_batches_tracked += 1
        teacher.update(student)
    assert teacher.network.weight.item() == 0.5 * (0.5 * (1 + 3)) + 0.5 * 7
    assert teacher.network.running_mean.item() == -4.5
    assert teacher.network.num_batches_tracked == 3


def test_checkpoints_with_a_teacher_load_where_there_is_none(tmp_path):
    trained = build(views={}, teacher={})
    save_checkpoint(trained, str(tmp_path / 'a.pth'))
    plain = build()
    load_checkpoint(plain, str(tmp_path / 'a.pth'), strict=True)
    again = build(views={}, teacher={})
    load_checkpoint(again, str(tmp_path / 'a.pth'), strict=True)
    for name, value in trained.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
        if not name.startswith('teacher'):
            assert torch.equal(plain.state_dict()[name], value)


@pytest.mark.parametrize(
    ('train_cfg', 'kind', 'message'),
    [
        ({'teacher': {}}, ValueError, r'train_cfg\.teacher needs train_cfg\.views'),
        ({'views': {'weight': 0}}, ValueError, r'train_cfg\.views: weight must be positive, got 0'),
        ({'views': {'jitter': 2}}, ValueError, r'jitter must lie in \[0, 1\], got 2'),
        ({'views': {'min_area': 0}}, ValueError, r'min_area must lie in \(0, 1\], got 0'),
        ({'views': {'flip': -1}}, ValueError, r'flip must lie in \[0, 1\], got -1'),
        ({'views': {'crop': 1}}, TypeError, r'train_cfg\.views: .*crop'),
        (
            {'views': {}, 'teacher': {'momentum': 1}},
            ValueError,
            r'train_cfg\.teacher: momentum must',
        ),
    ],
)
def test_unfit_settings_are_named(train_cfg, kind, message):
    with pytest.raises(kind, match=message):
        build(**train_cfg)
