"""One picture in memory, from Python."""

from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_image

import dynaseg
from dynaseg.photos.drawing import draw_overlay

image = load_sample_image('china.jpg')
segmentation = dynaseg.segment_image(image)
print(f'{segmentation.labels.max() + 1} clusters')
Image.fromarray(draw_overlay(image, segmentation.labels)).save(Path('china_segmented.jpg'))
