from dynaseg.datasets.pipelines.coco_stuff import LoadCocoStuff27Annotations
from dynaseg.datasets.pipelines.loading import LoadImage

__all__ = ['LoadCocoStuff27Annotations', 'LoadImage']
