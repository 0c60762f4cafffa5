from dynaseg.hooks.kmeans_start import KMeansStartHook

__all__ = ['KMeansStartHook']
