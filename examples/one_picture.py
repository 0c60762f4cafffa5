"""One picture in memory, from Python: its regions, coarse and fine."""

from PIL import Image
from sklearn.datasets import load_sample_image

import dynaseg
from dynaseg.photos.drawing import draw_overlay

image = load_sample_image('china.jpg')
segmentation = dynaseg.segment_image(image)
print(f'{segmentation.regions.max() + 1} regions of {segmentation.labels.max() + 1} clusters')
for detail in (0.3, 0.8):
    regions = segmentation.hierarchy.regions(detail)
    print(f'{regions.max() + 1} at detail {detail}')
    Image.fromarray(draw_overlay(image, regions)).save(f'china_{detail}.jpg')
