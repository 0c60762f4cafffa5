from dynaseg.apis.analyze import analyze_clusters
from dynaseg.apis.build import build_segmentor_from, load_config
from dynaseg.apis.configs import find_config
from dynaseg.apis.reading import ImageReadError, read_image
from dynaseg.apis.segment import segment_images

__all__ = [
    'ImageReadError',
    'analyze_clusters',
    'build_segmentor_from',
    'find_config',
    'load_config',
    'read_image',
    'segment_images',
]
