"""Meters of memory, memory traffic and time."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MIB = 2**20


class MemoryPeak:
    """Peak memory of the process above that at the start or, with a GPU, peak memory on it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(device)
        else:
            Path('/proc/self/clear_refs').write_text('5')  # resets the peak
            self.start = self._read('VmRSS')

    def mib(self) -> float:
        """Return the peak since the start in MiB."""
        if self.device.type == 'cuda':
            return torch.cuda.max_memory_allocated(self.device) / MIB
        return (self._read('VmHWM') - self.start) / 1024

    def _read(self, key: str) -> int:
        lines = Path('/proc/self/status').read_text().splitlines()
        return int(next(line for line in lines if line.startswith(key)).split()[1])


class ByteCounter(TorchDispatchMode):
    """Counts the bytes of all inputs and outputs of every operator: their traffic, uncached."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Run an operator and count."""
        result = func(*args, **(kwargs or {}))
        if not getattr(func, 'is_view', False):
            tensors = [
                leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)
            ]
            self.total += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def seconds_of(function: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Measure the median seconds of a call, after a warm-up call."""
    times = []
    for _ in range(repeats + 1):
        synchronize(device)
        start = time.perf_counter()
        function()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
