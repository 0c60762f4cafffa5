import numpy as np
import pytest
import torch
from PIL import Image
from short_training import tiny_config, train

from dynaseg.io.palette import distinct_palette
from dynaseg.mmseg.cluster_pictures import ClusterPicturesHook, draw_clusters

CONFIG = 'fsf_plain-cnn_100_sample.py'


def watched(sample_data, work_dir, *hooks):
    config = tiny_config(CONFIG, sample_data, work_dir)
    config.log_config.hooks.extend(hooks)
    return config


def test_an_image_is_drawn_beside_its_clusters():
    img = torch.full((1, 3, 4, 6), 100, dtype=torch.uint8)
    img[:, 2] = 200  # red
    probabilities = torch.zeros(1, 3, 2, 3)
    probabilities[:, 2] = 1.0
    picture = draw_clusters(img, probabilities)
    assert picture.shape == (4, 12, 3)
    assert (picture[:, :6] == [200, 100, 100]).all()
    mixed = (np.array([200, 100, 100]) + distinct_palette(3)[2]) / 2
    assert np.abs(picture[:, 6:] - mixed).max() <= 1


def test_pictures_are_written_from_the_start_to_the_end(sample_data, tmp_path):
    hook = {'type': 'ClusterPicturesHook', 'interval': 4, 'num_images': 2}
    train(watched(sample_data, tmp_path, hook))
    for image in ('0', '1'):
        paths = sorted((tmp_path / 'clusters' / image).iterdir())
        assert [path.name for path in paths] == [f'iter_{at:06}.jpg' for at in (0, 4, 6)]
        first, *_, last = (np.asarray(Image.open(path)).astype(int) for path in paths)
        half = first.shape[1] // 2
        assert np.abs(first[:, : half - 8] - last[:, : half - 8]).max() < 16  # the same view
        assert np.abs(first[:, half:] - last[:, half:]).max() > 16  # of other clusters


def test_a_training_is_the_same_with_pictures(sample_data, tmp_path):
    hook = {'type': 'ClusterPicturesHook', 'interval': 2}
    plain = train(watched(sample_data, tmp_path / 'plain'))
    drawn = train(watched(sample_data, tmp_path / 'drawn', hook))
    assert plain.keys() == drawn.keys()
    assert all(torch.equal(plain[name], drawn[name]) for name in plain)


def test_tensorboard_has_the_pictures(sample_data, tmp_path):
    pytest.importorskip('tensorboard', reason='pictures go to TensorBoard where it is installed')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    hooks = {'type': 'TensorboardLoggerHook'}, {'type': 'ClusterPicturesHook'}
    config = watched(sample_data, tmp_path, *hooks)
    config.log_config.interval = 3  # which is the pictures', too
    train(config)
    events = EventAccumulator(str(tmp_path / 'tf_logs'), size_guidance={'images': 0}).Reload()
    assert events.Tags()['images'] == [f'clusters/{image}' for image in range(4)]
    assert [event.step for event in events.Images('clusters/0')] == [0, 3, 6]
    assert {'train/loss_sim', 'train/weight', 'train/num_clusters'} <= set(events.Tags()['scalars'])


@pytest.mark.parametrize('arguments', [{'interval': 0}, {'num_images': 0}])
def test_numbers_below_one_are_refused(arguments):
    with pytest.raises(ValueError, match='at least 1, got'):
        ClusterPicturesHook(**arguments)
