from dynaseg.mmseg.datasets.bsds import BSDS500Dataset
from dynaseg.mmseg.datasets.camvid import CamVidDataset
from dynaseg.mmseg.datasets.cityscapes import Cityscapes27Dataset
from dynaseg.mmseg.datasets.cluster_evaluation import (
    ClusterADE20KDataset,
    ClusterCityscapesDataset,
    ClusterCustomDataset,
    ClusterEvaluationMixin,
    ClusterPascalContextDataset,
    ClusterPascalVOCDataset,
)
from dynaseg.mmseg.datasets.coco_stuff import CocoStuff27Dataset
from dynaseg.mmseg.datasets.folder import ImageFolderDataset, LabelledFolderDataset
from dynaseg.mmseg.datasets.labelled_camvid import LabelledCamVidDataset
from dynaseg.mmseg.datasets.pipelines import (
    EvaluationCrop,
    LoadCocoStuff27Annotations,
    LoadImage,
    LoadNoAnnotations,
)
from dynaseg.mmseg.datasets.potsdam import Potsdam3Dataset
from dynaseg.mmseg.datasets.region_evaluation import RegionEvaluationMixin
from dynaseg.mmseg.datasets.voc import VOCRegionDataset

__all__ = [
    'BSDS500Dataset',
    'CamVidDataset',
    'Cityscapes27Dataset',
    'ClusterADE20KDataset',
    'ClusterCityscapesDataset',
    'ClusterCustomDataset',
    'ClusterEvaluationMixin',
    'ClusterPascalContextDataset',
    'ClusterPascalVOCDataset',
    'CocoStuff27Dataset',
    'EvaluationCrop',
    'ImageFolderDataset',
    'LabelledCamVidDataset',
    'LabelledFolderDataset',
    'LoadCocoStuff27Annotations',
    'LoadImage',
    'LoadNoAnnotations',
    'Potsdam3Dataset',
    'RegionEvaluationMixin',
    'VOCRegionDataset',
]
