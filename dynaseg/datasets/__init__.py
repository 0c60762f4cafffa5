from dynaseg.datasets.bsds import BSDS500Dataset
from dynaseg.datasets.camvid import CamVidDataset
from dynaseg.datasets.cluster_evaluation import (
    ClusterADE20KDataset,
    ClusterCityscapesDataset,
    ClusterCustomDataset,
    ClusterEvaluationMixin,
    ClusterPascalContextDataset,
    ClusterPascalVOCDataset,
)
from dynaseg.datasets.coco_stuff import CocoStuff27Dataset
from dynaseg.datasets.folder import ImageFolderDataset
from dynaseg.datasets.pipelines import EvaluationCrop, LoadCocoStuff27Annotations, LoadImage
from dynaseg.datasets.region_evaluation import RegionEvaluationMixin
from dynaseg.datasets.voc import VOCRegionDataset

__all__ = [
    'BSDS500Dataset',
    'CamVidDataset',
    'ClusterADE20KDataset',
    'ClusterCityscapesDataset',
    'ClusterCustomDataset',
    'ClusterEvaluationMixin',
    'ClusterPascalContextDataset',
    'ClusterPascalVOCDataset',
    'CocoStuff27Dataset',
    'EvaluationCrop',
    'ImageFolderDataset',
    'LoadCocoStuff27Annotations',
    'LoadImage',
    'RegionEvaluationMixin',
    'VOCRegionDataset',
]
