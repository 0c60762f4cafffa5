import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

CONFIG = 'fsf_plain-cnn_100_sample.py'
PARTS = ('train', 'val', 'test')


@pytest.fixture
def check(load_tool, capsys):
    """Runs the command; returns its exit status and what it printed."""

    def run(*arguments):
        status = load_tool('check_data').main([CONFIG, '--workers', '1', *map(str, arguments)])
        printed = capsys.readouterr()
        lines = [line for line in printed.err.splitlines() if line.startswith(PARTS)]
        return status, printed.out.splitlines(), [line for line in lines if 'image/s' not in line]

    return run


def options(root, *changes):
    return ['--cfg-options', *(f'data.{part}.data_root={root}' for part in PARTS), *changes]


def test_whole_data_have_no_problems(check, sample_data):
    status, said, problems = check(*options(sample_data))
    assert (status, problems) == (0, [])
    assert said == ['train: no problems', 'val: no problems']  # test is val once more


def test_every_fault_is_listed(check, sample_data):
    images = sample_data / 'coco' / 'train2017'
    masks = sample_data / 'coco' / 'annotations' / 'val2017'
    first, second, third, _ = sorted(images.iterdir())
    first.write_bytes(first.read_bytes()[:200])
    second.unlink()
    os.mkfifo(second)
    Image.new('RGB', (20, 10)).save(third)
    mask, other, _ = sorted(masks.iterdir())
    Image.fromarray(np.full((40, 48), 200, np.uint8)).save(mask)
    Image.new('L', (7, 5)).save(other)
    status, said, problems = check(*options(sample_data))
    assert status == 1
    assert said == ['train: 3 problems', 'val: 2 problems']
    for name, reason in (
        (first.name, 'damaged'),
        (second.name, 'not a file'),
        (third.name, 'images differ in size after data.train.pipeline, and a batch has 4: '),
        (mask.name, 'has ids [200]'),
        (other.name, 'the mask is 7 x 5 pixels, its image 48 x 40'),
    ):
        assert any(name in line and reason in line for line in problems), (name, problems)


def test_fewer_images_than_a_batch_and_missing_data_are_problems(check, sample_data, tmp_path):
    status, _, problems = check(*options(sample_data, 'data.samples_per_gpu=5'))
    assert status == 1
    assert problems[0].startswith('train: data.train has 4 images, but a batch takes 5')
    status, said, problems = check('--subsets', 'train', *options(tmp_path))
    assert status == 1
    assert 'no split file' in problems[0]
    assert said == ['train: 1 problem']


def test_what_training_accepts_is_no_problem(check, sample_data):
    loading = 'data.train_dataloader'
    changes = [
        f'{loading}.prefetch_factor=4',
        f'{loading}.samples_per_gpu=5',
        'data.drop_last=False',
    ]
    status, said, problems = check('--subsets', 'train', *options(sample_data, *changes))
    assert (status, said, problems) == (0, ['train: no problems'], [])


def test_faults_that_stock_steps_do_not_explain_have_a_name(
    load_tool, capsys, sample_data, tmp_path
):
    first = min((sample_data / 'coco' / 'train2017').iterdir())
    first.write_bytes(first.read_bytes()[:10])
    (tmp_path / 'mine.py').write_text(
        'from dynaseg.mmseg.configs import find_config\n\n'
        f'_base_ = str(find_config({CONFIG!r}))\n'
        "steps = [dict(type='LoadImageFromFile'), dict(type='DefaultFormatBundle')]\n"
        f'data = dict(train=dict(data_root={str(sample_data)!r}, pipeline=[*steps, {{}}]))\n'
    )
    text = (tmp_path / 'mine.py').read_text()
    found = []
    for last in (
        "dict(type='Collect', keys=['img'])",
        "dict(type='Collect', keys=['img'], meta_keys=())",
    ):
        (tmp_path / 'mine.py').write_text(text.replace('{}', last))
        command = [str(tmp_path / 'mine.py'), '--workers', '1', '--subsets', 'train']
        assert load_tool('check_data').main(command) == 1
        lines = capsys.readouterr().err.splitlines()
        found.append([line for line in lines if line.startswith('train: ') and '%' not in line])
    assert all("no step of the pipeline gives 'flip'" in line for line in found[0][1:4])
    assert len(found[1]) == 1
    assert first.name in found[1][0]


def test_a_config_without_data_has_no_problems(load_tool, tmp_path):
    (tmp_path / 'mine.py').write_text(
        'from dynaseg.mmseg.configs import find_config, load_config\n\n'
        f'model = load_config({CONFIG!r}).model\n'
        'del find_config, load_config\n'
    )
    assert load_tool('check_data').main([str(tmp_path / 'mine.py')]) == 0


@pytest.mark.parametrize('name', ['check_data', 'analyze_clusters'])
def test_commands_say_nothing_of_the_libraries(root, name):
    command = [sys.executable, root / 'tools' / f'{name}.py', '--help']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ''


def test_sets_within_sets_are_read_once(load_tool, sample_data, tmp_path, capsys):
    first = min((sample_data / 'coco' / 'train2017').iterdir())
    first.write_bytes(first.read_bytes()[:200])
    (tmp_path / 'mine.py').write_text(
        'from dynaseg.mmseg.configs import find_config, load_config\n\n'
        f'_base_ = str(find_config({CONFIG!r}))\n'
        f'one = dict(load_config({CONFIG!r}).data.train, data_root={str(sample_data)!r})\n'
        "several = [dict(type='RepeatDataset', times=3, dataset=one), one]\n"
        "data = dict(train=dict(_delete_=True, type='RepeatDataset', times=2, dataset=several))\n"
        'del find_config, load_config\n'
    )
    changes = ['--cfg-options', 'data.train_dataloader.workers_per_gpu=1']
    status = load_tool('check_data').main(
        [str(tmp_path / 'mine.py'), '--workers', '1', '--subsets', 'train', *changes]
    )
    assert (status, capsys.readouterr().out) == (1, 'train: 2 problems\n')


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        ('data.train.type=CocoStuff27Datset', "'CocoStuff27Datset' is not registered; did you"),
        ('data.tain.data_root=a', "data.tain is unknown; did you mean 'train'?"),
        ('data.samples_per_gpu=0', 'data.samples_per_gpu=0: expected a whole number'),
    ],
)
def test_mistakes_in_the_config_are_problems(load_tool, capsys, sample_data, change, expected):
    assert load_tool('check_data').main([CONFIG, *options(sample_data, change)]) == 1
    assert expected in capsys.readouterr().err


def test_options_that_are_none_are_refused(check):
    with pytest.raises(SystemExit):
        check('--cfg-options', 'nonsense')
