import dynaseg.mmseg  # noqa: F401  (before MMCV, which has much to say)
from dynaseg.analysis.analyze import analyze_clusters

__all__ = ['analyze_clusters']
