from dynaseg.datasets.pipelines.coco_stuff import LoadCocoStuff27Annotations

__all__ = ['LoadCocoStuff27Annotations']
