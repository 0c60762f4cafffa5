from dynaseg.analysis.analyze import analyze_clusters

__all__ = ['analyze_clusters']
