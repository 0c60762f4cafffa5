"""Checks that find mistakes in a config before the first iteration, and name the key."""

from dynaseg.mmseg.checks.errors import ConfigError

__all__ = ['ConfigError']
