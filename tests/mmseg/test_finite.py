import numpy as np
import pytest
import torch
from mmcv.runner import HOOKS, Hook
from short_training import tiny_config, train

from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.errors import UserError

PLAIN = 'fsf_plain-cnn_100_sample.py'


@HOOKS.register_module(force=True)
class SpoilHook(Hook):
    """Makes a parameter NaN, or the learning rate, in the third iteration."""

    def __init__(self, what):
        self.what = what

    def before_train_iter(self, runner):
        if runner.iter == 2 and self.what == 'lr':
            runner.optimizer.param_groups[0]['lr'] = float('nan')

    def after_train_iter(self, runner):
        weight = runner.model.module.backbone.blocks[1][0].bias
        if runner.iter == 2 and self.what == 'weight':
            weight.data[3] = float('inf')
        if runner.iter == 2 and self.what == 'loss':
            runner.outputs['log_vars']['loss_con'] = float('nan')


@pytest.mark.parametrize(
    ('what', 'interval', 'priority', 'message'),
    [
        ('weight', 1, 'LOW', r'^iteration 3 of 6: .*not finite: backbone\.blocks\.1\.0\.bias$'),
        (
            'weight',
            6,
            'LOW',
            r'^iteration 4 of 6: loss_sim is nan, .*; the weights are not finite: '
            r'backbone\.blocks\.1\.0\.bias and \d+ more; the learning rate is 0\.0',
        ),
        ('loss', 6, 'HIGHEST', r'^iteration 3 of 6: loss_con is nan; the weights are still finite'),
        ('lr', 6, 'VERY_HIGH', r'^iteration 3 of 6: the learning rate of parameter group 0 is nan'),
    ],
)
def test_a_training_ends_where_a_number_is_not_finite(
    tmp_path, sample_data, what, interval, priority, message
):
    hook = {'type': 'SpoilHook', 'what': what, 'priority': priority}
    changes = {'custom_hooks': [hook], 'checkpoint_config.interval': interval}
    with pytest.raises(UserError, match=message):
        train(tiny_config(PLAIN, sample_data, tmp_path, **changes))
    for path in tmp_path.glob('*.pth'):  # what was saved before is whole
        weights = torch.load(path, weights_only=True)['state_dict']
        assert all(value.isfinite().all() for value in weights.values())


def test_a_rate_at_which_a_training_diverges_is_named(tmp_path, sample_data):
    changes = {'optimizer.lr': 1e30, 'lr_config.min_lr': 1e30}
    with pytest.raises(UserError, match=r'iteration [123] of 6: .*not finite: '):
        train(tiny_config(PLAIN, sample_data, tmp_path, **changes))


def test_weights_that_are_not_finite_are_refused(tmp_path, sample_data):
    config = tiny_config(PLAIN, sample_data, tmp_path)
    weights = build_segmentor_from(config, device='cpu').state_dict()
    weights['decode_head.norm.running_var'][2] = float('nan')
    path = tmp_path / 'nan.pth'
    torch.save({'state_dict': weights}, path)
    message = r'not finite: decode_head\.norm\.running_var'
    with pytest.raises(ValueError, match=rf'nan\.pth: .*{message}'):
        build_segmentor_from(config, path, device='cpu')
    config.load_from = str(path)
    with pytest.raises(UserError, match=message):
        train(config)


@pytest.mark.parametrize('norm', [{'mean': [np.nan] * 3}, {'std': [1.0, np.inf, 1.0]}])
def test_a_normalisation_that_is_not_finite_is_refused(sample_data, tmp_path, norm):
    config = tiny_config(PLAIN, sample_data, tmp_path, **{'model.img_norm_cfg': norm})
    with pytest.raises(ValueError, match='img_norm_cfg: mean and std must be equally many finite'):
        build_segmentor_from(config, device='cpu')
