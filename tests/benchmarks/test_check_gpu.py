import subprocess
import sys

import pytest
import torch


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU, which takes minutes')
def test_without_a_gpu_nothing_is_claimed(root):
    command = [sys.executable, root / 'benchmarks' / 'check_gpu.py']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'PyTorch sees no GPU on this machine: nothing was run\n'
