from dynaseg.models.necks.normalized_levels import NormalizedLevels

__all__ = ['NormalizedLevels']
