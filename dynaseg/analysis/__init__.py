import dynaseg.mmseg  # noqa: F401  (before MMCV, to silence it)
from dynaseg.analysis.analyze import analyze_clusters

__all__ = ['analyze_clusters']
