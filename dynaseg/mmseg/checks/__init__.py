"""What finds mistakes in a config before the first iteration, and names the key."""

from dynaseg.mmseg.checks.errors import ConfigError

__all__ = ['ConfigError']
