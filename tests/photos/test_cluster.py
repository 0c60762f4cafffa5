import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from running import check_outputs, list_outputs, run
from stand_ins import Dying, Raising, Waiting, segment

from dynaseg.photos.segment import DefectError

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


def test_workers_that_join_later_take_part(tmp_path, photos, cluster):
    for path in photos.iterdir():
        Image.new('RGB', (16, 12), (255, 0, 0)).save(path)  # each waits until it is answered
    (tmp_path / 'notes').mkdir()
    cluster.scale(0)
    with (
        distributed.Client(cluster) as client,
        socket.create_server(('localhost', 0)) as server,
        ThreadPoolExecutor() as pool,
    ):
        server.settimeout(60)
        predictor = Waiting(tmp_path / 'notes', server.getsockname()[1])
        address = cluster.scheduler_address
        records = pool.submit(run, photos, tmp_path / 'out', predictor, scheduler=address)
        cluster.scale(1)
        first, _ = server.accept()
        cluster.scale(3)
        client.wait_for_workers(3)
        first.sendall(b'.')
        waiting = [server.accept()[0] for _ in range(3)]  # as many as workers, at a time
        for connection in waiting:
            connection.sendall(b'.')
        server.accept()[0].sendall(b'.')
        assert len(records.result()) == 5
    cluster.scale(2)
    assert len(check_outputs(tmp_path / 'out')) == 5


def test_the_limit_of_pixels_is_that_of_the_run(tmp_path, photos, cluster, monkeypatch):
    Image.new('RGB', (50, 40)).save(photos / 'c.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 500)
    records = run(photos, tmp_path / 'out', segment, scheduler=cluster.scheduler_address)
    errors = {record['name']: record['error'] for record in records if 'error' in record}
    assert errors == {
        'c': 'more than 0.001 megapixels; DYNASEG_MAX_MEGAPIXELS=... raises the limit'
    }


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
    with pytest.raises(ConnectionError, match='no Dask scheduler answers at tcp:') as caught:
        run(photos, tmp_path / 'out', segment, scheduler='tcp://127.0.0.1:9')
    assert not hasattr(caught.value, 'segmented')
    monkeypatch.setitem(sys.modules, 'distributed', None)
    with pytest.raises(ImportError, match='pip install distributed'):
        run(photos, tmp_path / 'out', segment, scheduler='tcp://127.0.0.1:9')
