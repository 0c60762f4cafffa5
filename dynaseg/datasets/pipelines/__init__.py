from dynaseg.datasets.pipelines.coco_stuff import LoadCocoStuff27Annotations
from dynaseg.datasets.pipelines.evaluation_crop import EvaluationCrop
from dynaseg.datasets.pipelines.loading import LoadImage

__all__ = ['EvaluationCrop', 'LoadCocoStuff27Annotations', 'LoadImage']
