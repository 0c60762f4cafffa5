"""The checkpoint scheme ``scratch://SEED``: fresh weights for scripts that always load a file."""

import logging

import torch
from mmcv.runner import BaseModule, CheckpointLoader
from torch import Tensor, nn

PREFIX = 'scratch://'
SEED_KEY = 'dynaseg_scratch_seed'


@CheckpointLoader.register_scheme(prefixes=PREFIX)
def load_from_scratch(filename: str, map_location: str | None = None) -> dict:
    """Answer ``scratch://`` and ``scratch://SEED`` with a checkpoint that holds only the seed.

    Args:
        filename: the address; the seed is 0 if it names none.
        map_location: not used.

    Returns:
        A checkpoint, which a :class:`FromScratchMixin` turns into fresh weights.

    Raises:
        ValueError: if the seed is not an integer.
    """
    seed = filename.removeprefix(PREFIX) or '0'
    if not seed.isdecimal():
        raise ValueError(f'{filename}: expected scratch:// or scratch://SEED, a whole number')
    return {'state_dict': {SEED_KEY: torch.tensor(int(seed))}, 'meta': {}}


def initialise(model: nn.Module, seed: int) -> None:
    """Give a model fresh weights that depend only on the seed, not on what was drawn before.

    Weights that its config calls pretrained are loaded, as at the start of a training.

    Args:
        model: the model, changed in place.
        seed: seed of the random numbers; the global generators are left as they were.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.INFO)  # MMCV logs several lines for every parameter
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for module in model.modules():
                if hasattr(module, 'reset_parameters'):
                    module.reset_parameters()
                if isinstance(module, BaseModule):
                    module._is_init = False
            model.init_weights()
    finally:
        logging.disable(disabled)
    if isinstance(model, FromScratchMixin):
        model.weights_seed = seed


def is_given(weight: Tensor, state_dict: dict[str, Tensor], name: str) -> bool:
    """Tell whether a checkpoint gives a weight, in its shape: not ``scratch://``, which has none.

    Args:
        weight: of the model that is being loaded.
        state_dict: of the checkpoint, as the model's modules get it.
        name: the weight's in there.

    Returns:
        Whether it does. From scratch, modules find their own weights there.
    """
    given = state_dict.get(name)
    is_alike = given is not None and given.shape == weight.shape
    return is_alike and given.data_ptr() != weight.data_ptr()


class FromScratchMixin:
    """Lets a segmentor load the checkpoints of :func:`load_from_scratch`.

    Attributes:
        weights_seed: the seed of its weights; 0 if they were trained.
    """

    weights_seed = 0

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        seed = state_dict.pop(prefix + SEED_KEY, None)
        if seed is not None:
            initialise(self, int(seed))
            # The weights are there: the children find their own and nothing is reported missing.
            state_dict.update({prefix + name: value for name, value in self.state_dict().items()})
        super()._load_from_state_dict(state_dict, prefix, *args)
