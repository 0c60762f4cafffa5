import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv import Config
from mmseg.datasets.builder import DATASETS, PIPELINES
from mmseg.models import build_segmentor

from dynaseg.mmseg.configs import load_config
from dynaseg.mmseg.models import DynaSeg

ROOT = Path(__file__).resolve().parents[2] / 'configs'
PATHS = sorted((ROOT / 'dynaseg').glob('*.py'))
NAME = re.compile(r'(fsf|scf|fixed)_([a-z0-9-]+)_([a-z0-9-]+)_([a-z0-9-]+)')
DATA_TYPES = {
    'sample': 'CocoStuff27Dataset',
    'coco-stuff27': 'CocoStuff27Dataset',
    'coco-stuff27-picie': 'CocoStuff27Dataset',
    'coco-stuff27-stego': 'CocoStuff27Dataset',
    'cityscapes27': 'Cityscapes27Dataset',
    'potsdam3': 'Potsdam3Dataset',
    'bsds500': 'BSDS500Dataset',
    'voc12': 'VOCRegionDataset',
    'camvid': 'CamVidDataset',
    'folder': 'ImageFolderDataset',
    'own-labels': 'LabelledFolderDataset',
}
PARTS = {
    'plain-cnn': ('PlainCNN', None),
    'r18-fpn': ('ResNet', 'FPN'),
    'r50-fpn': ('ResNet', 'FPN'),
    'efficientnet-lite0': ('EfficientNetLite0', 'NormalizedLevels'),
    'efficientnet-lite0-fpn': ('EfficientNetLite0', 'FPN'),
    'efficientnet-lite1': ('EfficientNetLite1', 'NormalizedLevels'),
    'efficientnet-lite2': ('EfficientNetLite2', 'NormalizedLevels'),
    'r50': ('ResNet', 'NormalizedLevels'),
    'regnetx-400mf': ('mmdet.RegNet', 'NormalizedLevels'),
    'convnext-t': ('mmcls.ConvNeXt', 'NormalizedLevels'),
    'swin-t': ('SwinTransformer', 'NormalizedLevels'),
    'deit-s16': ('VisionTransformer', 'NormalizedLevels'),
    'timm-mobilenetv3': ('TimmFeatures', 'NormalizedLevels'),
    'vit-s14-dinov2': ('TimmFeatures', 'NormalizedLevels'),
    'r18-densecl': ('ResNet', 'NormalizedLevels'),
    'vit-s16': ('TimmFeatures', 'NormalizedLevels'),
}


def build(config):
    """Builds a config's model without downloading weights or keeping levels."""
    config.model.backbone.init_cfg = None
    config.model.pop('feature_cache', None)
    torch.manual_seed(0)
    return build_segmentor(config.model)


def train_an_iteration(model):
    pixels = 255 * torch.rand(2, 3, 64, 64)
    losses = model.forward_train(pixels, [{}, {}])
    loss, logged = model._parse_losses(losses)
    loss.backward()
    assert 1 < logged['num_clusters'] <= model.num_classes
    first = next(weight for weight in model.parameters() if weight.requires_grad)
    assert first.grad.abs().sum() > 0


def test_there_are_configs():
    names = {path.stem for path in PATHS}
    networks = ('plain-cnn', 'r18-fpn')
    assert {f'{w}_{b}_100_sample' for w in ('fsf', 'scf') for b in networks} <= names
    assert {f'{w}_{b}_10k_coco-stuff27' for w in ('fsf', 'scf') for b in networks} <= names


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_model_builds_and_data_types_are_known(path):
    config = Config.fromfile(str(path))
    model = build(config)
    assert isinstance(model, DynaSeg)
    if model.segmentation.region_settings is None:
        train_an_iteration(model)
    else:  # such networks see channels of one image, to which they are fitted
        photo = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)
        (segmentation,) = model.eval().make_predictor()([photo])
        assert segmentation.hierarchy.leaves.shape == (24, 36)
    for subset in ('train', 'val', 'test'):
        if subset in config.get('data', {}):
            assert config.data[subset].type in DATASETS
            assert all(step['type'] in PIPELINES for step in config.data[subset].pipeline)


@pytest.mark.parametrize(
    'path', [path for path in PATHS if path.stem.count('_') >= 3], ids=lambda path: path.stem
)
def test_name_says_what_is_inside(path):
    weighting, network, _, data = NAME.fullmatch(path.stem).groups()
    config = Config.fromfile(str(path))
    assert config.model.decode_head.loss_decode.weighting == weighting
    backbone, neck = PARTS[network]
    assert config.model.backbone.type == backbone
    assert config.model.get('neck', {}).get('type') == neck
    assert config.data.test.type == DATA_TYPES[data]


SWAPS = {
    'resnet50': """
model = dict(backbone=dict(depth=50), neck=dict(in_channels=[256, 512, 1024, 2048]))
""",
    'mmcls': """
custom_imports = dict(imports=['dynaseg.mmseg', 'mmcls.models'], allow_failed_imports=False)
model = dict(
    backbone=dict(_delete_=True, type='mmcls.MobileNetV2', out_indices=(1, 2, 4, 6)),
    neck=dict(in_channels=[24, 32, 96, 320]),
)
""",
    'mmdet': """
custom_imports = dict(imports=['dynaseg.mmseg', 'mmdet.models'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True, type='mmdet.RegNet', arch='regnetx_400mf', out_indices=(0, 1, 2, 3)
    ),
    neck=dict(in_channels=[32, 64, 160, 384]),
)
""",
}
MODULES = {'resnet50': 'mmseg.', 'mmcls': 'mmcls.', 'mmdet': 'mmdet.'}


@pytest.mark.parametrize('swap', SWAPS)
def test_swapping_the_backbone_is_one_config(tmp_path, swap):
    path = tmp_path / f'{swap}.py'
    base = ROOT / 'dynaseg' / 'scf_r18-fpn_10k_coco-stuff27.py'
    path.write_text(f'_base_ = {str(base)!r}\n{SWAPS[swap]}')
    model = build(Config.fromfile(str(path)))
    assert type(model.backbone).__module__.startswith(MODULES[swap])
    train_an_iteration(model)


BACKBONES = [
    path
    for path in sorted((ROOT / '_base_' / 'models').glob('dynaseg_*.py'))
    if (ROOT / 'dynaseg' / f'fsf_{path.stem.removeprefix("dynaseg_")}_200_camvid.py').is_file()
]


@pytest.mark.parametrize('path', BACKBONES, ids=lambda path: path.stem)
def test_every_backbone_takes_the_place_shown_in_the_docs(tmp_path, monkeypatch, path):
    page = (ROOT.parent / 'docs' / 'backbones.md').read_text(encoding='utf-8')
    code = re.search(r'<!-- file: mine.py -->\n```python\n(.*?)```', page, re.DOTALL)[1]
    assert code.count('models/dynaseg_r50') == 1
    monkeypatch.chdir(tmp_path)
    code = code.replace('models/dynaseg_r50', f'models/{path.stem}')
    backbone = Config.fromfile(str(path)).model.backbone
    scope = backbone.type.rpartition('.')[0]
    if scope:
        code += f"custom_imports = dict(imports=['dynaseg.mmseg', '{scope}.models'])"
    Path('mine.py').write_text(code)
    config = load_config('mine.py')
    assert config.data.test.type == 'LabelledFolderDataset'
    model = build(config)
    assert model.decode_head.num_classes == 4
    assert config.model.backbone == backbone | {'init_cfg': None}


def list_steps(pipeline):
    """Every step of a pipeline, those inside of others too."""
    for step in pipeline:
        yield step
        yield from list_steps(step.get('transforms', ()))


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_images_are_loaded_by_one_step_and_normalised_by_none(path):
    config = Config.fromfile(str(path))
    for subset in ('train', 'val', 'test'):
        kinds = [step['type'] for step in list_steps(config.data[subset].pipeline)]
        assert kinds[0] == 'LoadImage'
        assert 'Normalize' not in kinds
        assert 'LoadImageFromFile' not in kinds


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_every_config_imports_what_it_names(path):
    config = Config.fromfile(str(path))
    scope = config.model.backbone.type.rpartition('.')[0]
    expected = ['dynaseg.mmseg', *([f'{scope}.models'] if scope else [])]
    assert config.custom_imports.imports == expected
    assert load_config(path).model.type == 'DynaSeg'


@pytest.mark.parametrize('imports', ["'dynaseg'", "['mmcls.models', 'dynaseg']"])
def test_the_old_import_is_an_error_that_says_what_to_write(tmp_path, imports):
    path = tmp_path / 'mine.py'
    path.write_text(f'custom_imports = dict(imports={imports})\nmodel = dict()')
    with pytest.raises(
        ValueError, match=r"mine\.py: custom_imports has 'dynaseg', .*: write 'dynaseg\.mmseg'"
    ):
        load_config(path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('model = dict(', r'is not a valid config: '),
        ('a = 1', r'is not a valid config: it has no `model`'),
        ("_base_ = './absent.py'", r'is not a valid config: .*absent\.py'),
    ],
)
def test_invalid_configs_are_named(tmp_path, content, message):
    path = tmp_path / 'mine.py'
    path.write_text(content)
    with pytest.raises(ValueError, match=rf'mine\.py {message}'):
        load_config(path)


def test_configs_may_be_given_as_they_are():
    config = Config({'model': {'type': 'DynaSeg'}})
    assert load_config(config) is config
    with pytest.raises(ValueError, match='the config is not a valid config: it has no `model`'):
        load_config(Config({'data': {}}))


@pytest.mark.parametrize(('name', 'status'), [('dynaseg', 1), ('dynaseg.mmseg', 0)])
def test_old_imports_are_told_also_where_another_script_loads_the_config(tmp_path, name, status):
    path = tmp_path / 'config.py'
    path.write_text(f'custom_imports = dict(imports=[{name!r}], allow_failed_imports=False)')
    code = f'from mmcv import Config; Config.fromfile({str(path)!r})'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert ("write 'dynaseg.mmseg'" in done.stderr) == (status == 1)
