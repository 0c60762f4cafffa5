"""Keys of configs that have changed since 0.1: what to write instead."""

from collections.abc import Mapping

RENAMED = {
    'loss_decode.balance': 'loss_decode.entropy_weight',
    'fit.floor': 'fit.min_clusters',
    'fit.settled': 'fit.tol',
}
REMOVED = {
    'loss_decode.count': 'the clusters of each image are counted',
    'loss_decode.penalty': 'the continuity is the mean absolute difference',
    'loss_decode.diagonal': 'the continuity is that of vertical and horizontal neighbours',
    'backbone.padding_mode': 'borders are padded with zeros',
    'neck.weights': 'levels count alike',
    'train_cfg.views': 'a second view of an image did not pay',
    'train_cfg.teacher': 'a teacher did not pay',
}
TYPES = {'TimmBackbone': 'TimmFeatures'}


def refuse_old_keys(config: Mapping, path: str = 'model') -> None:
    """Raise an error for the first key or type of a model's config that has another name now.

    Args:
        config: the config, or a part of it.
        path: what the error calls it.

    Raises:
        ValueError: if there is one; it gives the key and what to write.

    Example:
        >>> refuse_old_keys({'decode_head': {'loss_decode': {'balance': 2.0}}})
        Traceback (most recent call last):
        ValueError: model.decode_head.loss_decode.balance is now loss_decode.entropy_weight
    """
    if config.get('type') in TYPES:
        raise ValueError(f'{path}.type={config["type"]!r} is now {TYPES[config["type"]]!r}')
    for key, value in config.items():
        name = f'{path.rpartition(".")[2]}.{key}'
        if name in RENAMED:
            raise ValueError(f'{path}.{key} is now {RENAMED[name]}')
        # A neck of another library may have such a key.
        if name in REMOVED and not (key == 'weights' and config['type'] != 'NormalizedLevels'):
            raise ValueError(f'{path}.{key} is gone: {REMOVED[name]}')
        if isinstance(value, Mapping):
            refuse_old_keys(value, f'{path}.{key}')
