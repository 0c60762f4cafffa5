import sys

import pytest
import torch

from dynaseg.core import process
from dynaseg.core.process import one_thread, reused_memory


class Library:
    """A C library that notes the calls of its memory functions."""

    def __init__(self, accepted=1):
        self.calls = []
        self.accepted = accepted

    def mallopt(self, setting, value):
        self.calls.append((setting, value))
        return self.accepted

    def malloc_trim(self, pad):
        self.calls.append('trim')


@pytest.fixture
def use(monkeypatch):
    def use(library):
        monkeypatch.setattr(process, '_find', lambda name: getattr(library, name, None))
        return library

    return use


def test_what_is_kept_is_given_back_in_the_end(use):
    library = use(Library())
    with reused_memory() as kept:
        assert kept is True
        assert library.calls == [(process.M_MMAP_MAX, 0), (process.M_TRIM_THRESHOLD, process.NEVER)]
    assert library.calls[2:] == ['trim']


def test_memory_is_given_back_after_an_error(use):
    library = use(Library())
    with pytest.raises(RuntimeError, match='too little'), reused_memory():
        raise RuntimeError('too little')
    assert library.calls[-1] == 'trim'


@pytest.mark.parametrize('library', [object(), Library(accepted=0)])
def test_nothing_is_done_where_the_library_has_no_such_setting(use, library):
    use(library)
    with reused_memory() as kept:
        assert kept is False
    assert 'trim' not in getattr(library, 'calls', [])


def test_other_systems_are_not_asked(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'darwin')
    monkeypatch.setattr(process.ctypes, 'CDLL', None)  # calling it would raise
    with reused_memory() as kept:
        assert kept is False


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='a setting of the GNU C library')
def test_the_system_takes_the_setting():
    with reused_memory() as kept:
        assert kept is (process._find('malloc_trim') is not None)


def test_one_thread_computes_and_the_others_come_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with pytest.raises(RuntimeError, match='stop'):
            stop_in_one_thread()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def stop_in_one_thread():
    with one_thread():
        raise RuntimeError('stop')
