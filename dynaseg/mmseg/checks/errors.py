import difflib
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dynaseg.mmseg.errors import UserError


class ConfigError(UserError):
    """A mistake in a config or a command, in at most three lines that name the key."""


def find_root(error: BaseException) -> BaseException:
    """Find the original error: registries raise it again, with the class before its text.

    An error that was raised from another on purpose names its key and is kept.

    Examples:
        >>> try:
        ...     try:
        ...         raise ValueError('channels must be positive')
        ...     except ValueError as error:
        ...         raise ValueError(f'ResNet: {error}')
        ... except ValueError as error:
        ...     print(find_root(error))
        channels must be positive
    """
    while error.__cause__ is None and type(error.__context__) is type(error):
        error = error.__context__
    return error


def suggest(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Ask whether one of the known names was meant, if one is similar to the given name.

    Args:
        name: the given name.
        known: the names there are.
        cutoff: how similar a name must be: the ratio of ``difflib``, 0 to 1.

    Returns:
        The end of a sentence, or nothing.

    Examples:
        >>> suggest('metrc', ['interval', 'metric'])
        "; did you mean 'metric'?"
        >>> suggest('colour', ['interval', 'metric'])
        ''
    """
    by_lower = {one.lower(): one for one in sorted(known)}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=cutoff)
    return f'; did you mean {by_lower[close[0]]!r}?' if close else ''


def explain(error: BaseException) -> str:
    """Describe a library's error in one line; for a bare assertion, what does not hold."""
    root = find_root(error)
    text = ' '.join(str(root).split())
    if isinstance(root, KeyError):
        text = f'no {text}'
    if not text and isinstance(root, AssertionError):
        condition = traceback.extract_tb(root.__traceback__)[-1].line.removeprefix('assert ')
        text = f'`{condition}` does not hold'
    text = text or type(root).__name__
    return text if len(text) <= 300 else f'{text[:300]}...'


@contextmanager
def naming(key: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of these types (all if none is given) into a :class:`ConfigError` for a key."""
    kinds = kinds or (Exception,)
    try:
        yield
    except ConfigError:
        raise
    except kinds as error:
        raise ConfigError(f'{key}: {explain(error)}') from error
