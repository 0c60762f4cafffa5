from collections.abc import Sequence

import pytest

from dynaseg.mmseg.checks import ConfigError
from dynaseg.mmseg.checks.signatures import check_arguments, fits, read_signature


class Base:
    def __init__(self, depth, width: int = 3):
        pass


class HandsOn(Base):
    def __init__(self, name, **kwargs):
        kwargs.setdefault('width', 4)
        super().__init__(**kwargs)


class GivesElsewhere(Base):
    def __init__(self, name, **options):
        super().__init__(2)
        self.made = dict(**options)


class Both(Base):
    def __init__(self, **kwargs):
        self.more = kwargs.pop('more', None)
        super().__init__(**kwargs)


def test_what_is_handed_on_to_the_base_class_is_known():
    signature = read_signature(HandsOn)
    assert set(signature.hints) == {'name', 'depth', 'width'}
    assert signature.required == {'name'}
    assert not signature.is_open


@pytest.mark.parametrize('kind', [GivesElsewhere, Both])
def test_what_goes_elsewhere_is_not_judged(kind):
    assert read_signature(kind).is_open
    check_arguments('part', {'name': 'a', 'anything': 1}, kind)


def test_unknown_and_missing_entries_are_named():
    with pytest.raises(ConfigError, match=r"part\.widht is unknown to HandsOn; did you mean 'wid"):
        check_arguments('part', {'name': 'a', 'widht': 2}, HandsOn)
    with pytest.raises(ConfigError, match=r'part\.name is missing: HandsOn needs it'):
        check_arguments('part', {'type': 'HandsOn', 'width': 2}, HandsOn)
    check_arguments('part', {'name': 'a', 'priority': 1}, HandsOn, also=['priority'])
    with pytest.raises(ConfigError, match=r'part\.depth is unknown'):
        check_arguments('part', {'name': 'a', 'depth': 1}, HandsOn, supplied=['depth'])


@pytest.mark.parametrize(
    ('value', 'hint', 'expected'),
    [
        (True, int, False),
        (1, float, True),
        (True, float, False),
        ('a', Sequence[str], False),
        (['a'], Sequence[str], True),
        (['a', 1], Sequence[str], False),
        ({'a': 1}, dict | None, True),
        (None, dict | None, True),
        (None, str, False),
        (1, 'a name that is resolved by nobody', True),
    ],
)
def test_values_fit_annotations(value, hint, expected):
    assert fits(value, hint) is expected
