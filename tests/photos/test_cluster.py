import os
from pathlib import Path

import pytest
from PIL import Image
from running import check_outputs, list_outputs, run
from stand_ins import Dying, Raising, segment

from dynaseg.photos.segment import DefectError, RunStoppedError

distributed = pytest.importorskip('distributed')


@pytest.fixture(scope='module')
def cluster():
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')])
    with (
        pytest.MonkeyPatch.context() as patch,
        distributed.LocalCluster(0, dashboard_address=None, threads_per_worker=1) as cluster,
    ):
        patch.setenv('PYTHONPATH', path)
        cluster.scale(2)
        yield cluster


def test_a_cluster_gives_the_results_of_one_process(tmp_path, photos, cluster, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = run(photos, Path('cluster'), segment, scheduler=cluster.scheduler_address)
    expected = run(photos, tmp_path / 'alone', segment)
    for one, other in zip(records, expected, strict=True):
        assert one | {'seconds': 0} == other | {'seconds': 0}
    assert len(check_outputs(tmp_path / 'cluster')) == 5
    assert list_outputs(tmp_path / 'cluster') == list_outputs(tmp_path / 'alone')


def test_a_worker_that_dies_loses_no_image(tmp_path, photos, cluster):
    Image.new('RGB', (16, 12), (255, 0, 0)).save(photos / 'c.png')
    (tmp_path / 'notes').mkdir()
    predictor = Dying(tmp_path / 'notes', times=1)
    run(photos, tmp_path / 'out', predictor, scheduler=cluster.scheduler_address)
    assert len(list((tmp_path / 'notes').glob('*.death'))) == 1
    assert len(check_outputs(tmp_path / 'out')) == 5


def test_defects_end_the_run(tmp_path, photos, cluster):
    with pytest.raises(DefectError, match='a bug'):
        run(
            photos,
            tmp_path / 'out',
            Raising(KeyError('a bug')),
            scheduler=cluster.scheduler_address,
        )


def test_no_scheduler_at_the_address_is_said_so(tmp_path, photos, monkeypatch):
    monkeypatch.setattr('dynaseg.photos.cluster.TIMEOUT', 0.5)
    with pytest.raises(RunStoppedError, match='no Dask scheduler answers at tcp:'):
        run(photos, tmp_path / 'out', segment, scheduler='tcp://127.0.0.1:9')
