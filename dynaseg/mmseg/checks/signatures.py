"""The arguments that a class takes: their names and types, and whether it takes others."""

import ast
import inspect
import textwrap
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from dynaseg.mmseg.checks.errors import ConfigError, suggest


class Signature(NamedTuple):
    """The arguments of a class or a function.

    Attributes:
        hints: the annotation of each, ``Any`` where there is none.
        required: those without a default.
        is_open: whether it may take others.
    """

    hints: dict[str, Any]
    required: frozenset[str]
    is_open: bool


@cache
def read_signature(target: Callable) -> Signature:
    """Read the arguments of a class or a function, including those it passes to base classes."""
    hints, required, is_open = {}, None, True
    for function in _constructors(target):
        parameters = list(inspect.signature(function).parameters.values())
        if inspect.isclass(target):
            parameters = parameters[1:]
        annotations = _read_hints(function)
        named = [
            one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        ]
        for one in named:
            hints.setdefault(one.name, annotations.get(one.name, Any))
        hands_on = any(one.kind is one.VAR_POSITIONAL for one in parameters)
        if required is None and not hands_on:
            required = frozenset(one.name for one in named if one.default is one.empty)
        rest = next((one.name for one in parameters if one.kind is one.VAR_KEYWORD), None)
        is_open = rest is not None
        if rest is None or not (inspect.isclass(target) and _is_handed_on(function, rest)):
            break
    return Signature(hints, required or frozenset(), is_open)


def check_arguments(
    key: str,
    given: Mapping,
    target: Callable,
    also: Collection[str] = (),
    supplied: Collection[str] = (),
) -> None:
    """Check the entries of a config against the arguments of a class or a function.

    Args:
        key: what an error calls the config.
        given: the entries; ``type`` is skipped.
        target: the class or function.
        also: further keys that are read by others.
        supplied: arguments that a script supplies, which a config must not.

    Raises:
        ConfigError: for the first entry that is unknown, missing or of the wrong type; types are
            checked only for this package's own classes, whose annotations are known to be right.
    """
    signature = read_signature(target)
    name = getattr(target, '__name__', str(target))
    known = {*signature.hints, *also} - set(supplied)
    for entry, value in given.items():
        if entry in ('type', *also):
            continue
        if entry not in known:
            if signature.is_open and entry not in supplied:
                continue
            raise ConfigError(
                f'{key}.{entry} is unknown to {name}{suggest(entry, known)}\n'
                f'expected: {", ".join(sorted(known))}'
            )
        hint = signature.hints[entry]
        if _is_own(target) and not fits(value, hint):
            raise ConfigError(f'{key}.{entry}={value!r}: expected {describe(hint)}')
    for entry in sorted(signature.required - set(given) - set(supplied)):
        raise ConfigError(f'{key}.{entry} is missing: {name} needs it')


def describe(hint: object) -> str:
    """Write an annotation as code does, a union as since Python 3.10.

    Examples:
        >>> describe(int | None), describe(Sequence[int] | float)
        ('int | None', 'Sequence[int] | float')
    """
    if get_origin(hint) in (Union, types.UnionType):
        return ' | '.join(map(describe, get_args(hint)))
    if hint is type(None):
        return 'None'
    return inspect.formatannotation(hint).replace('collections.abc.', '')


def fits(value: object, hint: object) -> bool:
    """Tell whether a config's value is of the annotated type, if the annotation is simple.

    Examples:
        >>> fits(2, int | None), fits(2.5, int | None), fits((1, 2), Sequence[int]), fits('1', int)
        (True, False, True, False)
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if hint is bool:
        return isinstance(value, bool)
    if hint in (int, float):
        kind = Integral if hint is int else Real
        return isinstance(value, kind) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if origin in (Sequence, list, tuple):
        if not isinstance(value, (list, tuple)):
            return False
        return all(fits(one, arguments[0]) for one in value)
    if hint in (dict, Mapping) or origin in (dict, Mapping):
        return isinstance(value, Mapping)
    return True


def _constructors(target: Callable) -> list[Callable]:
    if not inspect.isclass(target):
        return [target]
    return [kind.__init__ for kind in target.__mro__[:-1] if '__init__' in kind.__dict__]


def _read_hints(function: Callable) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError):  # of modules that are imported only for type checkers
        return {}


def _is_handed_on(function: Callable, rest: str) -> bool:
    """Tell whether ``**rest`` goes to the base class's constructor and nowhere else."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):
        return False
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == rest]
    accounted = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called.startswith('super(') and called.endswith('.__init__'):
            accounted += sum(
                word.arg is None and isinstance(word.value, ast.Name) and word.value.id == rest
                for word in node.keywords
            )
        accounted += called == f'{rest}.setdefault'
    return accounted == len(uses) > 0


def _is_own(target: Callable) -> bool:
    return target.__module__.partition('.')[0] == 'dynaseg'
