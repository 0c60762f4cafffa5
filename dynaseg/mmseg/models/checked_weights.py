"""Errors in building a segmentor or loading its weights, reported by config key."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mmseg.models.builder import MODELS

from dynaseg.core.finite import describe_not_finite
from dynaseg.mmseg.checks.errors import naming
from dynaseg.mmseg.checks.weights import (
    check_pretrained,
    describe_random_weights,
    refuse_other_segmentor,
)
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.scratch import SEED_KEY


@contextmanager
def naming_part(parts: Mapping[str, dict | None]) -> Iterator[None]:
    """Name the part of a model that raises an error while the model is built.

    Args:
        parts: their configs, by their keys below ``model``.

    Raises:
        ConfigError: in place of the error, if a part raises one when built by itself.
    """
    try:
        yield
    except Exception:  # from the constructor of any registered module
        for name, part in parts.items():
            if part is not None:
                with naming(f'model.{name}'):
                    MODELS.build(part)
        raise


class CheckedWeightsMixin:
    """A segmentor that accepts only its own weights, except as ``allow_missing`` permits.

    Attributes:
        was_loaded: whether weights come from a checkpoint.
    """

    was_loaded = False

    def init_weights(self) -> None:
        """Initialise the weights; pretrained ones must belong to these networks.

        Raises:
            ConfigError: if a weight file cannot be read or is of another network.
        """
        check_pretrained(self, self.allow_missing)
        super().init_weights()
        warning = describe_random_weights(self)
        if warning:
            warnings.warn(warning, stacklevel=2)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        problem = describe_not_finite(state_dict)
        if problem:
            raise UserError(problem)
        # Scripts skip what does not fit, and would test random weights.
        self.was_loaded = prefix + SEED_KEY not in state_dict
        if self.was_loaded:
            given = {name.removeprefix(prefix): value for name, value in state_dict.items()}
            refuse_other_segmentor(self, given, self.allow_missing)
        super()._load_from_state_dict(state_dict, prefix, *args)
