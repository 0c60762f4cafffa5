import os
from itertools import chain

import numpy as np
import pytest
from PIL import Image
from short_training import tiny_config, train

from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.training_data import TrainingSampler, build_dataloader, seeded

PLAIN = 'fsf_plain-cnn_100_sample.py'
PIPELINE = [
    {'type': 'LoadImage'},
    {'type': 'RandomFlip', 'prob': 0.5},
    {'type': 'DefaultFormatBundle'},
    {'type': 'Collect', 'keys': ['img']},
]


@pytest.fixture
def photos(tmp_path):
    """Makes a folder of images of given sizes (width, height)."""

    def make(*sizes):
        folder = tmp_path / 'photos'
        folder.mkdir()
        rng = np.random.default_rng(0)
        for number, (width, height) in enumerate(sizes):
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f'{number}.png')
        return folder

    return make


def folder_config(folder, **changes):
    config = tiny_config(PLAIN, folder, folder.parent / 'work', **{'runner.max_iters': 4} | changes)
    config.data.train = {
        'type': 'ImageFolderDataset',
        'img_dir': str(folder),
        'pipeline': PIPELINE,
    }
    return config


def draw(*epochs, **arguments):
    sampler = TrainingSampler(size=11, seed=3, **arguments)
    drawn = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        drawn.append([one.index for one in sampler])
        assert len(drawn[-1]) == len(sampler)
    return drawn


def test_epochs_have_every_image_once_and_orders_of_their_own():
    one, two = draw(0, 1, batch_size=4, drop_last=False)
    assert sorted(one) == sorted(two) == list(range(11))
    assert one != two
    assert draw(0, batch_size=4) == [one[:8]]


def test_epochs_go_on_where_loops_say_nothing():
    sampler = TrainingSampler(size=11, seed=3, batch_size=4)
    assert [[one.index for one in sampler] for _ in range(2)] == draw(0, 1, batch_size=4)


@pytest.mark.parametrize('processes', [2, 4])
@pytest.mark.parametrize('drop_last', [True, False])
def test_processes_share_the_batches_of_one(processes, drop_last):
    whole = draw(2, batch_size=4, drop_last=drop_last)[0]
    batch = 4 // processes
    parts = [
        draw(2, batch_size=batch, rank=rank, num_processes=processes, drop_last=drop_last)[0]
        for rank in range(processes)
    ]
    assert len({len(part) for part in parts}) == 1  # or one would wait for the others
    for number in range(2):
        mine = slice(number * batch, (number + 1) * batch)
        together = list(chain.from_iterable(part[mine] for part in parts))
        assert together == whole[number * 4 : number * 4 + 4]
    assert set(chain.from_iterable(parts)) == set(whole)


def test_any_batch_can_be_the_next():
    sampler = TrainingSampler(size=11, seed=3, batch_size=4)
    batches = [draws[start : start + 4] for draws in draw(0, 1, batch_size=4) for start in (0, 4)]
    for number, expected in enumerate(batches):
        sampler.go_to(number)
        assert [one.index for one in sampler][:4] == expected


def test_seeds_leave_the_generators_as_they_were():
    np.random.seed(0)
    expected = np.random.rand(2)
    np.random.seed(0)
    drawn = [np.random.rand()]
    with seeded(1, 2):
        np.random.rand()
    assert [*drawn, np.random.rand()] == expected.tolist()


def test_fewer_images_than_a_batch_are_told_before_the_training(photos):
    config = folder_config(photos((8, 6)), **{'data.samples_per_gpu': 2})
    message = r'data\.train has 1 images, but a batch takes 2 \(data\.samples_per_gpu=2\)'
    with pytest.raises(UserError, match=message):
        train(config)
    config.data.train_dataloader = {'drop_last': False}
    assert train(config) is not None


@pytest.mark.parametrize('workers', [0, 1])
def test_images_of_several_sizes_make_no_batch(photos, workers):
    config = folder_config(photos((8, 6), (6, 8)), **{'data.workers_per_gpu': workers})
    message = r'differ in size: .*/(0\.png is 8 x 6|1\.png is 6 x 8), .*samples_per_gpu=1'
    with pytest.raises(UserError, match=message):
        train(config)
    config.data.samples_per_gpu = 1
    assert train(config) is not None


def test_a_single_pixel_is_told_by_name(photos):
    config = folder_config(photos((1, 1), (1, 1)), **{'data.samples_per_gpu': 1})
    with pytest.raises(UserError, match=r'/[01]\.png is 1 x 1 pixels: '):
        train(config)


@pytest.mark.parametrize('kind', ['pipe', 'folder', 'link'])
def test_what_is_no_file_is_told_before_the_training(photos, kind):
    folder = photos((8, 6), (8, 6))
    path = folder / 'odd.png'
    {'pipe': os.mkfifo, 'folder': os.mkdir, 'link': lambda path: path.symlink_to('absent')}[kind](
        path
    )
    config = folder_config(folder)
    if kind == 'folder':  # which is searched
        assert train(config) is not None
        return
    with pytest.raises(ValueError, match=r'photos: not files, or broken links: odd\.png'):
        train(config)


@pytest.mark.parametrize('workers', [0, 2])
def test_a_damaged_image_ends_the_training_or_is_skipped(photos, caplog, workers):
    folder = photos(*[(8, 6)] * 5)
    (folder / '3.png').write_bytes((folder / '3.png').read_bytes()[:60])
    changes = {'data.workers_per_gpu': workers}
    with pytest.raises(UserError, match=r'/3\.png: damaged') as caught:
        train(folder_config(folder, **changes))
    assert '\n' not in str(caught.value)
    changes['data.train_dataloader'] = {'on_bad_image': 'skip'}
    assert train(folder_config(folder, **changes)) is not None
    assert '1 of 5 images could not be read: 3.png' in caplog.text


def test_a_damaged_image_of_joined_and_repeated_sets_is_named_once(photos, caplog):
    folder = photos(*[(8, 6)] * 5)
    (folder / '3.png').write_bytes((folder / '3.png').read_bytes()[:60])
    config = folder_config(folder)
    one = config.data.train
    config.data.train = {'type': 'RepeatDataset', 'times': 2, 'dataset': [one, one]}
    config.data.train_dataloader = {'on_bad_image': 'skip'}
    config.runner.max_iters = 10
    assert train(config) is not None
    assert '2 of 10 images could not be read: 3.png, 3.png' in caplog.text


def test_a_set_of_damaged_images_alone_is_not_skipped(photos):
    folder = photos((8, 6), (8, 6))
    for path in folder.iterdir():
        path.write_bytes(b'')
    config = folder_config(folder, **{'data.train_dataloader': {'on_bad_image': 'skip'}})
    with pytest.raises(UserError, match=r'\.png: the file is empty'):
        train(config)


@pytest.mark.parametrize(
    ('shuffle', 'on_bad_image', 'message'),
    [
        (True, 'pass', r"on_bad_image must be one of \('raise', 'skip'\), got 'pass'"),
        (False, 'skip', r"on_bad_image='skip' is for training only: .*data\.train_dataloader"),
    ],
)
def test_what_becomes_of_bad_images_is_checked(shuffle, on_bad_image, message):
    with pytest.raises(UserError, match=message):
        build_dataloader([], 1, 0, dist=False, shuffle=shuffle, on_bad_image=on_bad_image)


def test_validation_needs_no_workers(tmp_path, sample_data):
    config = tiny_config(PLAIN, sample_data, tmp_path, **{'runner.max_iters': 1})
    config.evaluation.interval = 1
    assert config.data.workers_per_gpu == 0
    assert train(config, validate=True) is not None


def test_no_image_of_an_evaluation_is_left_out():
    # MMSegmentation hands training's drop_last to the loader of the validation images.
    loader = build_dataloader(list(range(5)), 2, 0, dist=False, shuffle=False, drop_last=True)
    assert sum(map(len, loader.batch_sampler)) == 5
