"""Mistakes in configs end a command before its first iteration, in three lines at most."""

import subprocess
import sys
from pathlib import Path

import mmcv.cnn
import mmseg.apis
import pytest
import torch
from mmseg.models import build_backbone
from PIL import Image

from dynaseg.mmseg import compat
from dynaseg.mmseg.build import build_segmentor_from
from dynaseg.mmseg.checks.errors import ConfigError
from dynaseg.mmseg.checks.run import check_training
from dynaseg.mmseg.configs import find_config, load_config

BASES = {
    'resnet': 'fsf_r18-fpn_100_sample.py',
    'cnn': 'fsf_plain-cnn_100_sample.py',
    'efficientnet': 'fsf_efficientnet-lite0_200_sample.py',
    'fit': 'fsf_plain-cnn_fit-fast_bsds500.py',
    'regions': 'fsf_plain-cnn_regions_bsds500.py',
}


PARTS = ('train', 'val', 'test')


@pytest.fixture
def write(tmp_path, sample_data, monkeypatch):
    """Writes a config over one of the shipped ones, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    for name, content in {'empty.pth': b'', 'damaged.pth': b'no weights'}.items():
        (tmp_path / name).write_bytes(content)

    def write(change, base='resnet'):
        roots = ', '.join(f'{part}=dict(data_root={str(sample_data)!r})' for part in PARTS)
        if base in ('fit', 'regions'):  # of another data set, which is not read
            roots = ''
        text = f'_base_ = {str(find_config(BASES[base]))!r}\ndata = dict({roots})\n'
        (tmp_path / 'base.py').write_text(text)
        (tmp_path / 'mine.py').write_text(f"_base_ = './base.py'\n{change}\n")
        return tmp_path / 'mine.py'

    return write


@pytest.fixture
def refuse(monkeypatch):
    """Runs one of the scripts in this process and returns the lines in which it is refused."""

    def begin(*arguments, **options):
        pytest.fail('the command began')

    for name in ('train_segmentor', 'single_gpu_test'):
        monkeypatch.setattr(mmseg.apis, name, begin)

    def refuse(script, *arguments):
        monkeypatch.setattr('sys.argv', [script, *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            compat.run_mmseg_script(script)
        message = stop.value.code
        assert isinstance(message, str), message  # which Python prints, with status 1
        assert message.startswith('error: ')
        assert 'Traceback' not in message
        assert message.count('\n') <= 2
        return message

    return refuse


PRETRAINED = (
    'model = dict(backbone=dict(init_cfg=dict(_delete_=True, type="Pretrained", checkpoint="{}")))'
)
# A mistake, and what its message must have: the key, what came, what was expected.
MISTAKES = {
    'channels of the neck': (
        'model = dict(neck=dict(in_channels=[64, 128, 256, 1024]))',
        'model.neck.in_channels=[64, 128, 256, 1024]: expected [64, 128, 256, 512]',
    ),
    'levels of the backbone': (
        'model = dict(backbone=dict(out_indices=(0, 1, 2)))',
        'model.neck.in_channels=[64, 128, 256, 512]: expected [64, 128, 256]',
    ),
    'levels that the backbone lacks': (
        'model = dict(backbone=dict(out_indices=(0, 1, 2, 4)))',
        'model.backbone: `max(out_indices) < num_stages` does not hold',
    ),
    'channels of the head': (
        'model = dict(decode_head=dict(in_channels=128))',
        'model.decode_head.in_channels=128: expected 256, the channels of model.neck at in_index=0',
    ),
    'channels of several levels': (
        'model = dict(decode_head=dict(in_channels=[256, 128], in_index=[0, 1]))',
        'model.decode_head.in_channels=[256, 128]: expected [256, 256]',
    ),
    'index of the head': (
        'model = dict(decode_head=dict(in_index=4))',
        'model.decode_head.in_index=4: expected 0 to 3, since model.neck gives 4 levels',
    ),
    'unknown backbone': (
        "model = dict(backbone=dict(type='ResNett'))",
        "model.backbone.type='ResNett' is not registered; did you mean 'ResNet'?",
    ),
    'backbone of a scope that was not imported': (
        "model = dict(backbone=dict(_delete_=True, type='mmdet.RegNet', arch='regnetx_400mf'))",
        "model.backbone.type='mmdet.RegNet': mmdet was not imported; write in the config\n"
        "custom_imports = dict(imports=['dynaseg.mmseg', 'mmdet.models'], ",
    ),
    'scope that there is not': (
        "model = dict(backbone=dict(type='mmcsl.ResNet'))",
        "model.backbone.type='mmcsl.ResNet': there is no package 'mmcsl'; did you mean 'mmcls'?",
    ),
    'missing file of weights': (
        PRETRAINED.format('absent.pth'),
        "model.backbone.init_cfg.checkpoint='absent.pth': there is no such file",
    ),
    'empty file of weights': (
        PRETRAINED.format('empty.pth'),
        "model.backbone.init_cfg.checkpoint='empty.pth' is an empty file",
    ),
    'damaged file of weights': (
        PRETRAINED.format('damaged.pth'),
        "model.backbone.init_cfg.checkpoint='damaged.pth' cannot be read as PyTorch weights",
    ),
    'missing data': (
        "data = dict(train=dict(data_root='nowhere'))",
        'data.train: ',
    ),
    'misspelt key of the backbone': (
        'model = dict(backbone=dict(dept=50))',
        "model.backbone.dept is unknown to ResNet; did you mean 'depth'?",
    ),
    'misspelt key of the head': (
        'model = dict(decode_head=dict(num_clases=5))',
        "model.decode_head.num_clases is unknown to ResponseHead; did you mean 'num_classes'?",
    ),
    'misspelt key of the evaluation': (
        "evaluation = dict(metrc='mIoU')",
        "evaluation.metrc is unknown; did you mean 'metric'?",
    ),
    'unknown metric': (
        "evaluation = dict(metric='mIuO')",
        "evaluation.metric='mIuO': CocoStuff27Dataset supports mIoU, majority; did you mean 'mIoU'",
    ),
    'misspelt optimizer': (
        "optimzer = dict(type='Adam', lr=0.001)",
        "optimzer is not a known key; did you mean 'optimizer'?",
    ),
    'unknown optimizer': (
        "optimizer = dict(type='SDG')",
        "optimizer.type='SDG' is not registered; did you mean 'SGD'?",
    ),
    'misspelt key of the optimizer': (
        'optimizer = dict(momentun=0.9)',
        "optimizer.momentun is unknown to SGD; did you mean 'momentum'?",
    ),
    'impossible rate': ('optimizer = dict(lr=-0.1)', 'optimizer: Invalid learning rate: -0.1'),
    'infinite rate': (
        "optimizer = dict(lr=float('inf'))",
        'optimizer.lr=inf: expected a finite number',
    ),
    'no iterations': (
        'runner = dict(max_iters=0)',
        'runner.max_iters=0: expected a whole number of at least 1',
    ),
    'half an interval': (
        'checkpoint_config = dict(interval=2)\nevaluation = dict(interval=2.5)',
        'evaluation.interval=2.5: expected a whole number of at least 1',
    ),
    'unknown policy': (
        "lr_config = dict(policy='polly')",
        "lr_config.policy='polly' is not known; did you mean 'Poly'?",
    ),
    'unknown hook': (
        "custom_hooks = [dict(type='KMeansStart')]",
        "custom_hooks[0].type='KMeansStart' is not registered; did you mean 'KMeansStartHook'?",
    ),
    'wrong type of a hook': (
        "custom_hooks = [dict(type='KMeansStartHook', num_images='all')]",
        "custom_hooks[0].num_images='all': expected int",
    ),
    'wrong type of a size of batches': (
        "data = dict(samples_per_gpu='four')",
        "data.samples_per_gpu='four': expected a whole number of at least 1",
    ),
    'wrong type of the head': (
        "model = dict(decode_head=dict(in_channels='256'))",
        "model.decode_head.in_channels='256': expected int | Sequence[int]",
    ),
    'missing key': (
        "model = dict(decode_head=dict(_delete_=True, type='ResponseHead'))",
        'model.decode_head.in_channels is missing: ResponseHead needs it',
    ),
    'missing type': (
        'model = dict(neck=dict(_delete_=True, in_channels=[64]))',
        'model.neck.type is missing',
    ),
    'unknown step': (
        "data = dict(train=dict(pipeline=[dict(type='LoadImage'), dict(type='RandomFlop')]))",
        "data.train.pipeline[1].type='RandomFlop' is not registered; did you mean 'RandomFlip'?",
    ),
    'another network than a hook starts': (
        "model = dict(type='EncoderDecoder')\ncustom_hooks = [dict(type='KMeansStartHook')]",
        "custom_hooks[0]: KMeansStartHook needs model.type='DynaSeg', got 'EncoderDecoder'",
    ),
    'a rate in quotes': (
        "optimizer = dict(lr='0.01')",
        "optimizer.lr='0.01': expected a number",
    ),
    'a figure in other letters': (
        "evaluation = dict(save_best='mIOU')",
        "evaluation.save_best='mIOU' is not a metric; did you mean 'mIoU'?",
    ),
    'a group of classes that there is not': (
        "evaluation = dict(save_best='mIoU_thing')",
        "evaluation.save_best='mIoU_thing' is not a metric; did you mean 'mIoU_things'?",
    ),
    'colours of two channels': (
        'model = dict(img_norm_cfg=dict(mean=[0.0, 0.0], std=[1.0, 1.0]))',
        'model: img_norm_cfg: mean and std must have 3 channels, got (0.0, 0.0)',
    ),
    'no clusters': (
        'model = dict(decode_head=dict(num_classes=0))',
        'model.decode_head.num_classes=0: expected a whole number of at least 1',
    ),
    'epochs beside iterations': (
        'runner = dict(max_epochs=3)',
        'runner.max_epochs=3: IterBasedRunner takes only max_iters, which is 100;\n',
    ),
    'no interval of checkpoints': (
        'checkpoint_config = dict(interval=0)',
        'checkpoint_config.interval=0: expected at least 1, or -1 for none',
    ),
    'misspelt number of checkpoints': (
        'checkpoint_config = dict(max_keep_ckpt=1)',
        "checkpoint_config.max_keep_ckpt is unknown; did you mean 'max_keep_ckpts'?",
    ),
    'checkpoints by epoch': (
        'checkpoint_config = dict(by_epoch=True)',
        'checkpoint_config.by_epoch=True: the runner counts iterations',
    ),
    'a rate by epoch': (
        'lr_config = dict(by_epoch=True)',
        'lr_config.by_epoch=True: the runner counts iterations',
    ),
    'misspelt file to load': (
        "load_form = 'weights.pth'",
        "load_form is not a known key; did you mean 'load_from'?",
    ),
    'misspelt subset': (
        "data = dict(tran=dict(img_dir='photos'))",
        "data.tran is unknown; did you mean 'train'?",
    ),
    'misspelt size of batches': (
        'data = dict(sample_per_gpu=2)',
        "data.sample_per_gpu is unknown; did you mean 'samples_per_gpu'?",
    ),
    'unknown rule': (
        "evaluation = dict(rule='larger')",
        "evaluation.rule='larger': expected one of ('greater', 'less')",
    ),
    'unknown level': ("log_level = 'LOUD'", "log_level='LOUD': expected one of CRITICAL, "),
    'a number of evaluations': (
        'evaluation = dict(_delete_=True)\nevaluation = 3',
        'evaluation=3: expected a dict',
    ),
    'a hook outside a list': ('custom_hooks = 3', 'custom_hooks=3: expected a list of dicts'),
    'a number for a file': ('load_from = 3', 'load_from=3: expected the name of a file'),
    'a number of loaders': (
        'data = dict(train_dataloader=3)',
        'data.train_dataloader=3: expected a dict',
    ),
    'a runner of epochs': (
        'runner = dict(_delete_=True, type="EpochBasedRunner", max_epochs=2)',
        "runner.type='EpochBasedRunner': DynaSeg trains by iterations;",
    ),
    'missing checkpoint to resume from': (
        "resume_from = 'absent.pth'",
        "resume_from='absent.pth': there is no such file",
    ),
    'a pipeline that does not collect': (
        "data = dict(train=dict(pipeline=[dict(type='LoadImage')]))",
        'data.train.pipeline gives no tensor: expected at its end\n'
        "dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img'])",
    ),
    'a pipeline that collects what there is not': (
        "data = dict(train=dict(pipeline=[dict(type='LoadImage'), "
        "dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img'])]))",
        "data.train.pipeline: no step gives 'flip', which a later one needs (Collect",
    ),
    'stride larger than the image': (
        'data = dict(train=dict(pipeline=[dict(type="LoadImage"), dict(type="RandomFlip", prob=0), '
        'dict(type="RandomCrop", crop_size=(24, 24)), dict(type="DefaultFormatBundle"), '
        'dict(type="Collect", keys=["img"])]))\nmodel = dict(decode_head=dict(in_index=3))',
        'data.train.pipeline gives images of 24 x 24 pixels, from which model.backbone makes '
        'features of 1 x 1',
    ),
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_a_mistake_is_named_before_training(write, refuse, monkeypatch, mistake):
    monkeypatch.delitem(mmcv.cnn.MODELS.children, 'mmdet', raising=False)  # of other tests
    change, expected = MISTAKES[mistake]
    path = write(change)
    assert expected in refuse('train.py', path)
    assert not Path('work_dirs').exists()


def test_errors_name_the_config(write, refuse):
    path = write('runner = dict(max_iters=0)')
    assert refuse('train.py', path).startswith(f'error: {path}: runner.max_iters=0')


def test_options_of_the_command_are_checked_as_the_config_is(write, refuse):
    options = ['--cfg-options', 'model.decode_head.in_channels=128']
    message = refuse('train.py', write(''), *options)
    assert 'model.decode_head.in_channels=128: expected 256' in message


@pytest.mark.parametrize(
    ('option', 'expected'),
    [
        ('load_form=a.pth', "load_form is not in the config; did you mean 'load_from'?"),
        ('seed=3', 'seed is not in the config'),
        ('data_root=x', 'data_root is a variable of the config: set '),
        ('model', 'take KEY=VALUE: '),
        ('model.test_cfg=(1),(2)', "brackets of '(1),(2)' do not match"),
    ],
)
def test_options_without_effect_are_refused(write, refuse, option, expected):
    assert expected in refuse('train.py', write(''), '--cfg-options', option)


def test_options_may_have_spaces(write, refuse):
    option = 'data.val.data_root=my photos'
    assert 'my photos/' in refuse('train.py', write(''), '--cfg-options', option)


@pytest.mark.parametrize(
    'option', ['fp16.loss_scale=512', 'optimizer_config.type=Fp16OptimizerHook']
)
def test_options_have_no_precision_that_has_no_effect(write, refuse, option):
    message = refuse('train.py', write(''), '--cfg-options', option)
    assert 'has no effect on a DynaSeg' in message
    assert 'AmpOptimizerHook' in message


def test_names_of_another_checkpoint_are_refused(write, refuse, tmp_path):
    (tmp_path / 'names.json').write_text(
        '{"names": {"0": "sky"}, "made_from": "a person", "checkpoint_sha256": "beef"}'
    )
    path = write("model = dict(test_cfg=dict(names='names.json'))", 'cnn')
    message = refuse('test.py', path, 'scratch://0', '--eval', 'mIoU')
    assert 'model.test_cfg.names: ' in message
    assert 'another checkpoint than scratch://0' in message


def test_data_is_named_with_its_folder(write, refuse):
    message = refuse('train.py', write("data = dict(val=dict(data_root='nowhere'))"))
    assert 'data.val: ' in message
    assert 'nowhere' in message


def test_masks_of_other_values_are_found_beforehand(write, refuse, tmp_path):
    for folder, value in (('images', 9), ('masks', 11)):
        (tmp_path / folder).mkdir()
        Image.new('L', (40, 40), value).save(tmp_path / folder / 'a.png')
    folders = f'img_dir={str(tmp_path / "images")!r}, ann_dir={str(tmp_path / "masks")!r}'
    kind = 'type="LabelledFolderDataset", pipeline=[], classes=["wall", "door"]'
    change = f'data = dict(val=dict(_delete_=True, {kind}, {folders}))'
    message = refuse('train.py', write(change, 'cnn'))
    assert 'data.val.classes: a.png has the values [11],\nexpected 0 to 1, the classes, or 255' in (
        message
    )


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        ('classes="sky"', "classes='sky': expected a list of names, or a file with one per line"),
        ('classes=["sky", "road", "sky"]', "classes has 'sky' twice"),
        ('classes=["sky"], reduce_zero_label="no"', "reduce_zero_label='no': expected True or"),
    ],
)
def test_classes_of_folders_are_checked(write, refuse, change, expected):
    kind = 'type="LabelledFolderDataset", img_dir="images", ann_dir="masks", pipeline=[]'
    message = refuse('train.py', write(f'data = dict(val=dict(_delete_=True, {kind}, {change}))'))
    assert f'data.val.{expected}' in message


def test_images_without_labels_are_not_validated(write, refuse, tmp_path):
    folder = f'type="ImageFolderDataset", pipeline=[], img_dir={str(tmp_path)!r}'
    change = f'data = dict(val=dict(_delete_=True, {folder}))'
    message = refuse('train.py', write(change))
    assert "evaluation.metric='mIoU': ImageFolderDataset has no labels" in message
    assert '--no-validate' in message


def test_frozen_backbones_need_weights(write, refuse):
    path = write('model = dict(backbone=dict(pretrained=False))', 'efficientnet')
    message = refuse('train.py', path)
    assert 'model.backbone.init_cfg: EfficientNetLite0 has no weights and is frozen' in message


def test_other_backbones_without_weights_give_a_warning():
    with pytest.warns(UserWarning, match=r'model\.backbone: ResNet starts from random weights'):
        build_segmentor_from(BASES['resnet'], device='cpu')


def test_levels_that_a_neck_lacks_are_named(write, refuse):
    message = refuse('train.py', write('model = dict(neck=dict(target=7))', 'efficientnet'))
    assert 'model.neck: NormalizedLevels fails' in message
    assert 'target=7: expected one of 3 levels' in message


def test_networks_of_images_are_not_trained(write, refuse):
    schedule = find_config('_base_/schedules/schedule_100.py').read_text()
    message = refuse('train.py', write(schedule, 'regions'))
    assert 'model.test_cfg.fit with regions: such networks are fitted in tests' in message


def test_training_without_a_schedule_says_what_is_missing(write, refuse):
    message = refuse('train.py', write('', 'fit'))
    assert 'optimizer is missing: training needs it' in message
    assert 'schedule_200.py' in message


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        ('check_interval=2.5', 'model.test_cfg.fit.check_interval=2.5: expected int'),
        ('fit_pixels=0.5', 'model.test_cfg.fit.fit_pixels=0.5: expected int | None'),
        ('lr=float("inf")', 'model.test_cfg.fit.lr=inf: expected a finite number'),
        (
            'iteration=5',
            "model.test_cfg.fit.iteration is unknown to Fitter; did you mean 'iterations'?",
        ),
    ],
)
def test_fits_are_checked(write, refuse, change, expected):
    path = write(f'model = dict(test_cfg=dict(fit=dict({change})))', 'fit')
    assert expected in refuse('test.py', path, 'scratch://', '--eval', 'mIoU')


def test_channels_of_fits_are_checked(write, refuse):
    path = write('model = dict(backbone=dict(in_channels=5))', 'regions')
    message = refuse('test.py', path, 'scratch://', '--eval', 'mIoU')
    assert 'model.backbone.in_channels=5: expected 9' in message


def save_backbone(path, **config):
    torch.save(build_backbone({'type': 'ResNet', 'depth': 18, **config}).state_dict(), path)


def test_weights_of_another_network_are_refused(write, refuse):
    save_backbone('other.pth', depth=50)
    change = PRETRAINED.format('other.pth')
    message = refuse('train.py', write(change))
    assert "model.backbone.init_cfg.checkpoint='other.pth' is of another network" in message
    assert 'layer1.0.conv1.weight: (64, 64, 1, 1), not (64, 64, 3, 3)' in message
    assert 'model.allow_missing' in message


def test_a_whole_model_as_weights_of_a_backbone_says_how(write, refuse):
    segmentor = build_segmentor_from(BASES['resnet'], device='cpu')
    torch.save({'state_dict': segmentor.state_dict()}, 'whole.pth')
    change = PRETRAINED.format('whole.pth')
    assert "give init_cfg.prefix='backbone.'" in refuse('train.py', write(change))


@pytest.fixture
def other():
    """A checkpoint of a segmentor with another number of clusters."""
    config = load_config(BASES['resnet'])
    config.model.decode_head.num_classes = 5
    torch.save({'state_dict': build_segmentor_from(config, device='cpu').state_dict()}, 'other.pth')
    return 'other.pth'


def test_checkpoints_of_another_network_are_refused(write, refuse, other):
    path = write('')
    for message, key in (
        (refuse('test.py', path, other, '--eval', 'mIoU'), 'the checkpoint'),
        (refuse('train.py', path, '--load-from', other), 'load_from'),
    ):
        assert f"{key}='other.pth' is of another network" in message
        assert 'decode_head.conv_seg.weight: (5, 256, 1, 1), not (27, 256, 1, 1)' in message
        assert 'model.allow_missing' in message


@pytest.mark.parametrize('allowed', [['decode_head.'], ['']])
def test_a_checkpoint_may_be_loaded_in_part_where_the_config_says_so(write, other, allowed):
    path = write(f'model = dict(allow_missing={allowed})')
    loaded = build_segmentor_from(path, other, 'cpu').state_dict()
    saved = torch.load(other, weights_only=True)['state_dict']
    assert loaded['decode_head.conv_seg.weight'].shape == (27, 256, 1, 1)
    assert torch.equal(loaded['backbone.conv1.weight'], saved['backbone.conv1.weight'])


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('empty.pth', 'is an empty file'),
        ('damaged.pth', 'cannot be read as PyTorch weights'),
        ('absent.pth', 'there is no such file'),
    ],
)
def test_checkpoints_that_cannot_be_read_get_a_reason(write, refuse, name, reason):
    message = refuse('test.py', write('', 'cnn'), name, '--eval', 'mIoU')
    assert f"the checkpoint='{name}'" in message
    assert reason in message


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ([], 'no output is requested: give --eval mIoU, --show-dir DIR'),
        (['--eval', 'mIoU', '--format-only'], '--eval and --format-only exclude each other'),
        (
            ['--format-only'],
            '--format-only: CocoStuff27Dataset writes no label maps; give --show-dir',
        ),
        (['--out', 'labels.json'], "--out='labels.json': expected a .pkl file"),
    ],
)
def test_tests_say_what_they_can_be_asked_for(write, refuse, options, expected):
    assert expected in refuse('test.py', write('', 'cnn'), 'scratch://', *options)


def test_text_in_place_of_weights_is_not_to_be_trusted(write, refuse):
    Path('text.pth').write_text('cd /tmp\nexport A=1\n')
    message = refuse('train.py', write("load_from = 'text.pth'"))
    assert "load_from='text.pth' cannot be read as PyTorch weights" in message
    assert 'add_safe_globals' not in message


def test_weights_that_cannot_be_fetched_may_be_had_elsewhere(write, refuse):
    message = refuse('train.py', write(PRETRAINED.format('http://127.0.0.1:9/weights.pth')))
    assert "'http://127.0.0.1:9/weights.pth' cannot be downloaded: " in message
    assert 'get the file elsewhere and give its path' in message


def test_unknown_metrics_of_a_test_are_named(write, refuse):
    message = refuse('test.py', write('', 'cnn'), 'scratch://', '--eval', 'mIuO')
    assert "--eval='mIuO': CocoStuff27Dataset supports mIoU, majority; did you mean" in message


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['--cfg-options', 'data.test_dataloader.samples_per_gpu=2'], 'draw the labels of one'),
        (['--launcher', 'pytorch'], 'draw nothing with --launcher'),
    ],
)
def test_pictures_that_would_be_wrong_or_missing_are_refused(write, refuse, arguments, expected):
    assert expected in refuse(
        'test.py', write('', 'cnn'), 'scratch://', '--show-dir', 'x', *arguments
    )


def test_fits_are_not_augmented(write, refuse):
    message = refuse('test.py', write('', 'fit'), 'scratch://', '--eval', 'mIoU', '--aug-test')
    assert 'exclude test-time augmentation' in message


def test_a_list_of_test_sets_is_refused(write, refuse):
    config = write('data = dict(test=[{{_base_.data.val}}, {{_base_.data.val}}])', 'cnn')
    assert 'data.test is a list' in refuse('test.py', config, 'scratch://', '--eval', 'mIoU')


def test_a_deeper_network_is_another_one(write, refuse):
    config = load_config(BASES['cnn'])
    config.model.backbone.num_blocks = 3
    torch.save(build_segmentor_from(config, device='cpu').state_dict(), 'deeper.pth')
    message = refuse('test.py', write('', 'cnn'), 'deeper.pth', '--eval', 'mIoU')
    assert 'have no place in the model (backbone.' in message


def test_the_command_ends_with_the_error_alone(root, write):
    path = write("evaluation = dict(metrc='mIoU')")
    command = [sys.executable, root / 'tools' / 'train.py', path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    first, *rest = done.stderr.splitlines()
    assert first == f"error: {path}: evaluation.metrc is unknown; did you mean 'metric'?"
    assert len(rest) <= 2


@pytest.mark.parametrize(
    ('data', 'expected'),
    [
        ('samples_per_gpu=1', 'data.samples_per_gpu=1: the loss compares the images of a batch'),
        (
            'samples_per_gpu=3, train_dataloader=dict(drop_last=False)',
            'data.train has 4 images, so that the last batch of an epoch would have 1 in a process',
        ),
    ],
)
def test_batches_too_small_for_the_loss_are_told_beforehand(write, refuse, data, expected):
    head = "dict(_delete_=True, type='ProjectionHead', in_channels=100, num_classes=5)"
    change = f'model = dict(decode_head={head})\ndata = dict({data})'
    assert expected in refuse('train.py', write(change, 'cnn'))


def test_joined_sets_and_none_may_be_those_of_validation(write):
    joined = write('data = dict(val=[{{_base_.data.val}}, {{_base_.data.val}}])', 'cnn')
    check_training(load_config(joined))
    config = load_config(write('', 'cnn'))
    del config.data.val
    check_training(config, validate=False)
    with pytest.raises(ConfigError, match=r'data\.val is missing'):
        check_training(config)
    config = load_config(write('evaluation = None', 'cnn'))
    check_training(config, validate=False)
    with pytest.raises(ConfigError, match=r'evaluation is None: .*--no-validate'):
        check_training(config)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            "evaluation = dict(metric='mIuO')",
            "evaluation.metric='mIuO': CocoStuff27Dataset supports",
        ),
        ("evaluation = dict(save_best='mIoU')", 'expected 0_mIoU for the first one'),
    ],
)
def test_joined_validation_sets_are_checked_one_by_one(write, change, message):
    joined = 'data = dict(val=[{{_base_.data.val}}, {{_base_.data.val}}])'
    with pytest.raises(ConfigError, match=message):
        check_training(load_config(write(f'{joined}\n{change}', 'cnn')))


def test_a_named_figure_needs_names(write):
    change = "evaluation = dict(save_best='named_mIoU')"
    with pytest.raises(
        ConfigError, match=r'named_mIoU, \.\.\. with model\.test_cfg\.names, and only'
    ):
        check_training(load_config(write(change, 'cnn')))


def test_masks_of_any_of_the_joined_sets_are_read(write, sample_data):
    path = write('data = dict(val=[{{_base_.data.val}}, {{_base_.data.val}}])', 'cnn')
    first = min((sample_data / 'coco' / 'annotations' / 'val2017').iterdir())
    first.write_bytes(b'')
    with pytest.raises(ConfigError, match=rf'data.val: .*{first.name}'):
        check_training(load_config(path))


def test_fits_that_are_switched_off_may_be_augmented(write, refuse):
    options = ['--cfg-options', 'model.test_cfg.fit=None', 'data.test_dataloader=2']
    path = write('', 'fit')
    assert 'data.test_dataloader=2: expected a dict' in refuse(
        'test.py', path, 'scratch://', '--show-dir', 'x', *options
    )
    message = refuse('test.py', path, 'scratch://', '--eval', 'mIoU', '--aug-test', *options[:2])
    assert 'augmentation' not in message


def test_sets_without_masks_are_told_what_is_missing(write, sample_data):
    root = str(sample_data / 'coco' / 'val2017')
    (suffix,) = {path.suffix for path in Path(root).iterdir()}
    kind = "type='ClusterCustomDataset', classes=('a', 'b'), img_dir='.', pipeline=[]"
    dataset = f'dict(_delete_=True, {kind}, data_root={root!r}, img_suffix={suffix!r})'
    path = write(f'data = dict(val={dataset})', 'cnn')
    with pytest.raises(ConfigError, match=r'data\.val\.ann_dir is missing'):
        check_training(load_config(path))


def test_a_module_of_a_package_that_is_absent_is_named(write, refuse):
    message = refuse('train.py', write("model = dict(backbone=dict(type='mmclss.models.ResNet'))"))
    assert "there is no package 'mmclss.models'" in message


def test_a_first_image_that_is_damaged_is_skipped_where_the_config_says_so(write, sample_data):
    first = min((sample_data / 'coco' / 'train2017').iterdir())
    first.write_bytes(first.read_bytes()[:200])
    with pytest.raises(ConfigError, match=rf'data.train.pipeline: .*{first.name}: damaged'):
        check_training(load_config(write('', 'cnn')), validate=False)
    skipping = "data = dict(train_dataloader=dict(on_bad_image='skip'))"
    check_training(load_config(write(skipping, 'cnn')), validate=False)


def test_of_several_processes_each_tells_what_only_it_may_have_found(monkeypatch):
    monkeypatch.setenv('RANK', '1')
    for everywhere, code in ((False, 1), (True, 'error in process 1: a.jpg: damaged')):
        with pytest.raises(SystemExit) as end:
            compat.stop('a.jpg: damaged', everywhere)
        assert end.value.code == code
