"""The pins that were verified together, and the same with digests."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPILED = 'mmcv-full'  # against the PyTorch that is there, so it has no digest


def read_pins(path):
    """The versions that a file of requirements pins for Python 3.11, by package."""
    lines = [
        line for line in path.read_text().splitlines() if 'python_version < "3.11"' not in line
    ]
    return dict(re.findall(r'^([a-z0-9-]+)==([^;\s]+)', '\n'.join(lines), re.MULTILINE))


def test_known_good_packages_are_those_of_the_requirements():
    pins = read_pins(ROOT / 'requirements.txt')
    known = read_pins(ROOT / 'scripts' / 'known-good-py311.txt')
    assert pins.pop(COMPILED) == '1.7.2'
    assert COMPILED not in known
    assert {name: known.get(name) for name in pins} == pins


def test_every_known_good_package_has_a_digest():
    entries = re.split(r'\n(?=[a-z0-9])', (ROOT / 'scripts' / 'known-good-py311.txt').read_text())
    assert len(entries) > 50
    assert all(re.search(r'--hash=sha256:[0-9a-f]{64}', entry) for entry in entries[1:])
