from dynaseg.datasets.cluster_evaluation import (
    ClusterADE20KDataset,
    ClusterCityscapesDataset,
    ClusterCustomDataset,
    ClusterEvaluationMixin,
    ClusterPascalContextDataset,
    ClusterPascalVOCDataset,
)
from dynaseg.datasets.coco_stuff import CocoStuff27Dataset
from dynaseg.datasets.pipelines import LoadCocoStuff27Annotations

__all__ = [
    'ClusterADE20KDataset',
    'ClusterCityscapesDataset',
    'ClusterCustomDataset',
    'ClusterEvaluationMixin',
    'ClusterPascalContextDataset',
    'ClusterPascalVOCDataset',
    'CocoStuff27Dataset',
    'LoadCocoStuff27Annotations',
]
