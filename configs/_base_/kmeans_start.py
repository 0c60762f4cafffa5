# Clusters start at those of K-means over the training set.
custom_hooks = [dict(type='KMeansStartHook')]
