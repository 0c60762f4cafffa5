"""Checks of the parts of a config that name a type: whether it exists and takes the keys."""

from collections import Counter
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path

from mmcv.cnn.utils.weight_init import INITIALIZERS
from mmcv.utils import Registry
from mmseg.datasets.builder import DATASETS, PIPELINES
from mmseg.models.builder import MODELS

from dynaseg.core import Fitter, LabelRefinement, ProbabilityRefinement
from dynaseg.mmseg.checks.errors import ConfigError, naming, suggest
from dynaseg.mmseg.checks.signatures import check_arguments
from dynaseg.mmseg.models.old_keys import refuse_old_keys

# Where OpenMMLab's packages register their models.
SCOPES = {name: f'{name}.models' for name in ('mmcls', 'mmdet', 'mmselfsup')}
# The keys of a model whose parts are in the registry of models.
PARTS = ('backbone', 'backbones', 'neck', 'decode_head', 'auxiliary_head', 'loss_decode')


def find_type(key: str, config: object, registry: Registry) -> type:
    """Find the class that a part of a config names.

    Args:
        key: what an error calls the part.
        config: the part.
        registry: where its type is registered.

    Raises:
        ConfigError: if there is none; it says what to import, or which name is similar.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f'{key}={config!r}: expected a dict with a `type`')
    if 'type' not in config:
        raise ConfigError(f'{key}.type is missing: it names a class of the registry')
    name = config['type']
    if not isinstance(name, str):
        return name
    try:
        found = registry.get(name)
    except AttributeError:  # a scope in a registry that has no parent to ask
        found = None
    if found is not None:
        return found
    scope, _, short = name.rpartition('.')
    registries = _list_registries(registry)
    if scope and scope not in registries:
        if scope not in SCOPES and find_spec(scope.partition('.')[0]) is None:
            close = suggest(scope, [*SCOPES, *registries])
            raise ConfigError(f'{key}.type={name!r}: there is no package {scope!r}{close}')
        raise ConfigError(
            f'{key}.type={name!r}: {scope} was not imported; write in the config\n'
            f"custom_imports = dict(imports=['dynaseg.mmseg', {SCOPES.get(scope, scope)!r}], "
            'allow_failed_imports=False)'
        )
    known = {f'{place}.{one}' for place, names in registries.items() for one in names if place}
    for place in ('', scope):  # in the same scope first
        if close := suggest(short, registries.get(place, ())):
            raise ConfigError(f'{key}.type={name!r} is not registered{close}')
    raise ConfigError(f'{key}.type={name!r} is not registered{suggest(name, known)}')


def _list_registries(registry: Registry) -> dict[str, Collection[str]]:
    """List the registered names by scope; '' is the registry's own."""
    found = {'': registry.module_dict, registry.scope: registry.module_dict}
    root = registry
    while root.parent is not None:
        root = root.parent
    for scope, child in root.children.items():
        found[scope] = child.module_dict
    return found


def check_part(
    key: str,
    config: object,
    registry: Registry,
    also: Collection[str] = (),
    supplied: Collection[str] = (),
) -> None:
    """Check that a part's type is registered and takes its keys; see :func:`check_arguments`."""
    check_arguments(key, config, find_type(key, config, registry), also, supplied)


def check_segmentor(config: object) -> None:
    """Check ``model``, including the entries of its ``test_cfg``.

    Raises:
        ConfigError: see :func:`check_part`.
    """
    if isinstance(config, Mapping):
        refuse_old_keys(config)
    check_model('model', config)
    tests = config.get('test_cfg') or {}
    if tests.get('fit') is not None:
        check_arguments(
            'model.test_cfg.fit',
            tests['fit'],
            Fitter,
            also=('refine', 'min_clusters'),
            supplied=('loss', 'refinement'),
        )
        if tests['fit'].get('refine') is not None:
            check_arguments('model.test_cfg.fit.refine', tests['fit']['refine'], LabelRefinement)
    if tests.get('refine') is not None:
        check_arguments('model.test_cfg.refine', tests['refine'], ProbabilityRefinement)


def check_model(key: str, config: object) -> None:
    """Check a model's config, with its backbone, neck, heads and losses.

    Raises:
        ConfigError: see :func:`check_part`.
    """
    check_part(key, config, MODELS, also=('train_cfg', 'test_cfg'))
    for name in PARTS:
        parts = config.get(name)
        if parts is None:
            continue
        several = isinstance(parts, (list, tuple))
        for number, part in enumerate(parts if several else [parts]):
            check_model(f'{key}.{name}[{number}]' if several else f'{key}.{name}', part)
    initial = config.get('init_cfg')
    if isinstance(initial, Mapping):
        check_part(f'{key}.init_cfg', initial, INITIALIZERS, also=('override', 'layer'))


def check_dataset(key: str, config: object) -> None:
    """Check a data set's config, with the steps of its pipeline.

    Raises:
        ConfigError: see :func:`check_part`.
    """
    if isinstance(config, (list, tuple)):
        for number, one in enumerate(config):
            check_dataset(f'{key}[{number}]', one)
        return
    check_part(key, config, DATASETS, also=('separate_eval',))
    _check_classes(key, config)
    if 'dataset' in config:
        check_dataset(f'{key}.dataset', config['dataset'])
    _check_steps(f'{key}.pipeline', config.get('pipeline', ()))


def _check_classes(key: str, config: Mapping) -> None:
    classes = config.get('classes')
    if isinstance(classes, str) and not Path(classes).is_file():
        raise ConfigError(
            f'{key}.classes={classes!r}: expected a list of names, or a file with one per line'
        )
    if isinstance(classes, str):
        with naming(f'{key}.classes={classes!r}', OSError, ValueError):
            classes = Path(classes).read_text('utf-8').splitlines()
        if classes[:1] and classes[0].startswith('\ufeff'):
            raise ConfigError(f'{key}.classes: the file begins with a byte order mark; remove it')
        if not all(name.strip() for name in classes):
            raise ConfigError(f'{key}.classes: the file has an empty line; expected a name in each')
    if isinstance(classes, (list, tuple)):
        twice = [name for name, count in Counter(classes).items() if count > 1]
        if twice:
            raise ConfigError(f'{key}.classes has {twice[0]!r} twice: expected each class once')
    zero = config.get('reduce_zero_label')
    if not isinstance(zero, (bool, type(None))):
        raise ConfigError(f'{key}.reduce_zero_label={zero!r}: expected True or False')


def _check_steps(key: str, steps: object) -> None:
    if not isinstance(steps, (list, tuple)):
        raise ConfigError(f'{key}={steps!r}: expected a list of steps')
    for number, step in enumerate(steps):
        check_part(f'{key}[{number}]', step, PIPELINES)
        _check_steps(f'{key}[{number}].transforms', step.get('transforms', ()))
