"""Images segmented by a Dask cluster in place of processes of this machine."""

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeVar

import torch

from dynaseg.io.files import PART_SUFFIX
from dynaseg.photos.worker import load_job

Task = TypeVar('Task')
Result = TypeVar('Result')

TASKS_A_THREAD = 2  # one is computed, one waits
TIMEOUT = 30  # seconds until a scheduler is taken to be absent


def run_on_cluster(
    job: Callable[[Task], Result],
    abandon: Callable[[Task], Result],
    tasks: Iterable[Task],
    address: str,
    folder: Path,
) -> Iterator[Result]:
    """Run a job on tasks by the workers of a Dask cluster.

    Workers that die are no loss: the scheduler gives their tasks to others, as often as its
    ``distributed.scheduler.allowed-failures`` says. Workers that join later take part. All see the
    files by the same paths.

    Args:
        job: what is done.
        abandon: gives the result of a task whose workers died too often.
        tasks: what it is done to.
        address: of the scheduler, such as ``'tcp://HOST:8786'``.
        folder: one that the workers see, too, by the same path; the job is sent through it.

    Yields:
        Results as they come.

    Raises:
        ImportError: if dask.distributed is not installed; it says how to install it.
        ConnectionError: if no scheduler answers at the address, or it goes away.
    """
    try:
        from distributed import CancelledError, Client, KilledWorker, as_completed
    except ImportError as error:
        raise ImportError('a scheduler needs dask.distributed: pip install distributed') from error
    try:
        client = Client(address, timeout=TIMEOUT)
    except (OSError, ValueError) as error:
        raise ConnectionError(f'no Dask scheduler answers at {address}: {error}') from error
    waiting = iter(tasks)
    # The scheduler would keep a job of many megabytes for each task.
    with client, NamedTemporaryFile(dir=folder, prefix='.job.', suffix=PART_SUFFIX) as file:
        file.write(pickle.dumps(job))
        file.flush()
        given = {}

        def give() -> list:
            """Give tasks to the workers of now: some may have joined, or gone."""
            wanted = TASKS_A_THREAD * sum(client.nthreads().values()) - len(given)
            new = {
                client.submit(_do, file.name, task, pure=False): task
                for task in islice(waiting, max(wanted, 0 if given else 1))
            }
            given.update(new)
            return list(new)

        if not client.nthreads():
            print(f'waiting for a worker of {address}', file=sys.stderr)
            client.wait_for_workers(1)
        finished = as_completed(give())
        for future in finished:
            task = given.pop(future)
            try:
                result = future.result()
            except KilledWorker:
                result = abandon(task)
            except CancelledError as error:
                raise ConnectionError(f'the Dask scheduler at {address} went away') from error
            finished.update(give())
            yield result


def _do(job: str, task: object) -> object:
    torch.set_num_threads(1)  # so that results are those of any number of workers
    return load_job(job)(task)
