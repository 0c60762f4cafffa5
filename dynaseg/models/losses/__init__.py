from mmseg.models.builder import LOSSES

from dynaseg.models.losses.dynaseg_loss import (
    DynaSegLoss,
    cluster_balance,
    count_clusters,
    dynamic_weight,
    feature_similarity,
    spatial_continuity,
)

# The loss itself knows nothing of registries, so that it can be used alone.
LOSSES.register_module(module=DynaSegLoss)

__all__ = [
    'DynaSegLoss',
    'cluster_balance',
    'count_clusters',
    'dynamic_weight',
    'feature_similarity',
    'spatial_continuity',
]
