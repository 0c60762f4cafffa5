import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dynaseg.mmseg.datasets import Potsdam3Dataset

LISTS = {'unlabelled_train': ['0_0', '0_1'], 'labelled_train': ['1_0'], 'labelled_test': ['2_0']}


@pytest.fixture
def potsdam(tmp_path):
    """IIC's files: two images without labels, one with labels for training and one for the test."""
    rng = np.random.default_rng(0)
    for folder in ('imgs', 'gt'):
        (tmp_path / folder).mkdir()
    for name, ids in LISTS.items():
        (tmp_path / f'{name}.txt').write_text('\n'.join(ids) + '\n')
        for one in ids:
            pixels = rng.integers(0, 256, (20, 20, 4), dtype=np.uint8)
            savemat(tmp_path / f'imgs/{one}.mat', {'img': pixels})
            if name != 'unlabelled_train':
                classes = rng.integers(0, 6, (20, 20)).astype(np.int32)
                savemat(tmp_path / f'gt/{one}.mat', {'gt': classes})
    return tmp_path


@pytest.fixture
def run(load_tool, capsys):
    def call(*arguments):
        status = load_tool('prepare_data').main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_potsdam_is_written_and_read(run, potsdam):
    status, out, _ = run('potsdam', '--data-root', potsdam, '--any-number')
    assert status == 0
    assert out.splitlines() == [
        'unlabelled_train: complete',
        'train: complete',
        'val: complete',
    ]
    from scipy.io import loadmat

    pixels = loadmat(potsdam / 'imgs/0_1.mat')['img'][..., :3]
    assert np.array_equal(Image.open(potsdam / 'images/0_1.png'), pixels)
    dataset = Potsdam3Dataset([], 'val', str(potsdam), test_mode=True)
    fine = loadmat(potsdam / 'gt/2_0.mat')['gt']
    coarse = np.select([(fine == 0) | (fine == 4), (fine == 1) | (fine == 5)], [0, 1], 2)
    assert np.array_equal(dataset.read_classes(0), coarse)
    figures = dataset.evaluate([(dataset.read_classes(0) + 1) % 3], logger='silent')
    assert figures['mIoU'] == 1
    sizes = [len(Potsdam3Dataset([], name, str(potsdam))) for name in ('all_train', 'train')]
    assert sizes == [3, 1]


def test_what_is_wrong_with_potsdam_is_said(run, potsdam):
    with pytest.raises(
        FileNotFoundError, match=r'2 of 2 listed images are not in .*images \(\.png'
    ):
        Potsdam3Dataset([], 'unlabelled_train', str(potsdam))
    with pytest.raises(ValueError, match=r"subset must be one of .*got 'test'"):
        Potsdam3Dataset([], 'test', str(potsdam))
    status, _, err = run('potsdam', '--data-root', potsdam)
    assert status == 1
    assert 'val: ' in err
    assert 'has 1 images of this subset: expected 855' in err
    Image.fromarray(np.full((20, 20), 9, np.uint8)).save(potsdam / 'masks/2_0.png')
    status, out, err = run('potsdam', '--data-root', potsdam, '--any-number')
    assert (status, 'val: complete' in out) == (1, False)
    assert '2_0.png has ids [9]: expected classes of Potsdam, 0 to 5 or 255' in err
    for name, content in (('0_0', b'no mat'), ('0_1', None)):
        (potsdam / f'images/{name}.png').unlink()
        path = potsdam / f'imgs/{name}.mat'
        path.write_bytes(content) if content else path.unlink()
        status, _, err = run('potsdam', '--data-root', potsdam)
        assert status == 1
        assert err.splitlines()[-1].startswith('error: ')
        assert path.name in err
        savemat(path, {'img': np.zeros((20, 20, 4), np.uint8)})
    (potsdam / 'labelled_test.txt').unlink()
    status, _, err = run('potsdam', '--data-root', potsdam)
    assert 'error: no list of images' in err


@pytest.mark.parametrize(
    ('file', 'values', 'message'),
    [
        ('imgs/2_0', {'img': np.full((20, 20, 4), 0.5)}, "expected 'img' of whole numbers"),
        ('imgs/2_0', {'img': np.zeros((20, 20, 2), np.uint8)}, 'of 3 channels or more'),
        ('gt/2_0', {'gt': np.full((20, 20), np.nan)}, "expected 'gt' of whole numbers"),
        ('gt/2_0', {'gt': np.zeros((10, 20), np.uint8)}, "of the image's size (20, 20)"),
        ('gt/2_0', {'gt': np.array([['a', 'b']])}, "expected 'gt' of numbers"),
    ],
)
def test_what_is_no_image_or_mask_is_refused(run, potsdam, file, values, message):
    savemat(potsdam / f'{file}.mat', values)
    status, _, err = run('potsdam', '--data-root', potsdam, '--any-number')
    assert status == 1
    assert f'{file}.mat: ' in err
    assert message in err


def test_cityscapes_is_counted_and_its_masks_are_read(run, tmp_path):
    for subset in ('train', 'val'):
        image = tmp_path / f'leftImg8bit/{subset}/ulm/ulm_1_leftImg8bit.png'
        mask = tmp_path / f'gtFine/{subset}/ulm/ulm_1_gtFine_labelIds.png'
        for path, pixels in ((image, np.zeros((4, 4, 3), np.uint8)), (mask, np.eye(4) * 7)):
            path.parent.mkdir(parents=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    assert run('cityscapes', '--data-root', tmp_path, '--any-number')[0] == 0
    status, out, err = run('cityscapes', '--data-root', tmp_path)
    assert (status, out) == (1, '')
    assert 'expected 2975' in err
    assert 'expected 500' in err
    Image.fromarray(np.full((4, 4), 99, np.uint8)).save(mask)
    status, _, err = run('cityscapes', '--data-root', tmp_path, '--any-number')
    assert status == 1
    assert 'val: ' in err
    assert 'has ids [99]' in err
    assert run('cityscapes', '--data-root', tmp_path, '--any-number', '--skip-masks')[0] == 0
    mask.unlink()
    status, _, err = run('cityscapes', '--data-root', tmp_path, '--any-number')
    assert 'val: 1 of 1 images have no mask' in err
