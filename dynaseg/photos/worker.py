"""The process that :class:`dynaseg.photos.workers.Worker` starts: tasks in, results out."""

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch


def main() -> None:
    """Read tasks from standard input, and write a result or error of the job for each."""
    tasks = sys.stdin.buffer
    results = os.fdopen(os.dup(sys.stdout.fileno()), 'wb')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no result
    torch.set_num_threads(1)
    try:
        while True:
            pickle.dump(_do(sys.argv[1], pickle.load(tasks)), results)
            results.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)  # who wanted results has closed, or is gone


def _do(job: str, task: object) -> tuple[object, Exception | None]:
    try:
        return load_job(job)(task), None
    except OSError as error:
        return None, error
    except Exception:  # of any class, which may not survive pickling
        return None, RuntimeError(traceback.format_exc())


@cache
def load_job(job: str) -> Callable:
    """Load a pickled job from its file, once."""
    return pickle.loads(Path(job).read_bytes())
