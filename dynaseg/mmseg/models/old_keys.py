"""Config keys that do not exist, or no longer, and what to write instead."""

from collections.abc import Collection, Mapping

from dynaseg.mmseg.checks.errors import ConfigError, suggest

# By the type of the dict that has the key or, if it has none, by the key that holds the dict.
RENAMED = {
    'DynaSegLoss.balance': 'entropy_weight',
    'fit.floor': 'min_clusters',
    'fit.settled': 'tol',
}
REMOVED = {
    'DynaSegLoss.count': 'the clusters of each image are counted',
    'DynaSegLoss.penalty': 'the continuity is the mean absolute difference',
    'DynaSegLoss.diagonal': 'the continuity is that of vertical and horizontal neighbours',
    'PlainCNN.padding_mode': 'borders are padded with zeros',
    'NormalizedLevels.weights': 'all levels count the same',
    'train_cfg.views': 'a second view of an image did not help',
    'train_cfg.teacher': 'a teacher did not help',
}
TYPES = {'TimmBackbone': 'TimmFeatures'}


def refuse_old_keys(config: Mapping, path: str = 'model') -> None:
    """Raise an error for the first renamed or removed key or type in a model's config.

    Args:
        config: the config, or a part of it.
        path: what the error calls it.

    Raises:
        ConfigError: if there is one; it gives the key and what to write.

    Examples:
        >>> try:
        ...     refuse_old_keys({'test_cfg': {'fit': {'floor': 3}}})
        ... except ConfigError as error:
        ...     print(error)
        model.test_cfg.fit.floor is now model.test_cfg.fit.min_clusters
    """
    kind = config.get('type', path.rpartition('.')[2])
    if kind in TYPES:
        raise ConfigError(f'{path}.type={kind!r} is now {TYPES[kind]!r}')
    for key, value in config.items():
        name = f'{kind}.{key}'
        if name in RENAMED:
            raise ConfigError(f'{path}.{key} is now {path}.{RENAMED[name]}')
        if name in REMOVED:
            raise ConfigError(f'{path}.{key} is gone: {REMOVED[name]}')
        if isinstance(value, Mapping):
            refuse_old_keys(value, f'{path}.{key}')


def refuse_unknown_keys(name: str, given: Collection[str], known: Collection[str]) -> None:
    """Raise ConfigError if a part of a config has unknown keys."""
    if unknown := sorted(set(given) - set(known)):
        close = suggest(unknown[0], known)
        raise ConfigError(
            f'{name} has no {", ".join(unknown)}: expected {sorted(known) or "nothing"}{close}'
        )
