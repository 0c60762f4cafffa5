# Clusters start from K-means over the training set.
custom_hooks = [dict(type='KMeansStartHook')]
