from dynaseg.models.segmentors.dynaseg import DynaSeg

__all__ = ['DynaSeg']
