from dynaseg.mmseg.datasets.pipelines.coco_stuff import LoadCocoStuff27Annotations
from dynaseg.mmseg.datasets.pipelines.evaluation_crop import EvaluationCrop, add_crop
from dynaseg.mmseg.datasets.pipelines.five_crop import RandomFiveCrop
from dynaseg.mmseg.datasets.pipelines.loading import LoadImage, LoadNoAnnotations

__all__ = [
    'EvaluationCrop',
    'LoadCocoStuff27Annotations',
    'LoadImage',
    'LoadNoAnnotations',
    'RandomFiveCrop',
    'add_crop',
]
