"""Processes that work side by side, and one dying of which costs nothing but its work."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

Task = TypeVar('Task')
Result = TypeVar('Result')

ONE_THREAD = dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'), '1')


class WorkerDied(Exception):  # noqa: N818 - it is no error of the work
    """A process ended before its work was done."""


class Worker:
    """A process of one thread that does one task after another.

    It is a fresh interpreter, not a copy of this one, whose threads might hold locks, and does not
    run the user's main module, which need not be guarded. It ends when this process does, and only
    this process receives the signals of a terminal.

    Args:
        job: file of a pickled function of one task.
    """

    def __init__(self, job: Path) -> None:
        # With -m, modules in the current folder would come before all others of their name.
        paths = [path or os.getcwd() for path in sys.path]
        start = (
            f'import sys; sys.path[:] = {paths!r}; from dynaseg.photos.worker import main; main()'
        )
        self._process = subprocess.Popen(
            [sys.executable, '-c', start, str(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ONE_THREAD,
            start_new_session=True,
        )

    def fileno(self) -> int:
        """Get what is readable when a task is done or the process has ended."""
        return self._process.stdout.fileno()

    def start(self, task: object) -> None:
        """Give it a task."""
        with suppress(BrokenPipeError):  # it has died, as finish() will say
            pickle.dump(task, self._process.stdin)
            self._process.stdin.flush()

    def finish(self) -> object:
        """Wait for the result of its task.

        Raises:
            WorkerDied: if the process ends without one.
            Exception: what the task raised: an OSError, or a RuntimeError with its traceback.
        """
        try:
            result, error = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError) as error:
            raise WorkerDied from error
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        with suppress(BrokenPipeError):  # of what it has not read
            self._process.stdin.close()


def run_in_processes(
    job: Callable[[Task], Result],
    abandon: Callable[[Task], Result],
    tasks: Iterable[Task],
    workers: int,
) -> Iterator[Result]:
    """Run a job on tasks side by side.

    A task whose process dies, as the system ends one for want of memory, is run again when all
    others are done, alone.

    Args:
        job: what is done.
        abandon: gives the result of a task whose process dies twice.
        tasks: what it is done to.
        workers: number of processes.

    Yields:
        Results as they come.
    """
    with TemporaryDirectory() as folder:
        # By a file: a pipe would fill, and wait for each process to be up.
        path = Path(folder, 'job')
        path.write_bytes(pickle.dumps(job))
        dead = []
        for task, result in _run(path, tasks, workers):
            if result is None:
                dead.append(task)
            else:
                yield result
        for task, result in _run(path, dead, 1):
            yield abandon(task) if result is None else result


def _run(job: Path, tasks: Iterable[Task], workers: int) -> Iterator[tuple[Task, Result | None]]:
    """Run a job on tasks; yields each with its result, None if its process died."""
    waiting = iter(tasks)
    idle: list[Worker] = []
    working: dict[Worker, Task] = {}
    try:
        while True:
            while len(working) < workers and (task := next(waiting, None)) is not None:
                worker = idle.pop() if idle else Worker(job)
                working[worker] = task
                worker.start(task)
            if not working:
                return
            for worker in wait(list(working)):
                try:
                    result = worker.finish()
                    idle.append(worker)
                except WorkerDied:
                    worker.close()
                    result = None
                yield working.pop(worker), result
    finally:
        for worker in chain(idle, working):
            worker.close()
