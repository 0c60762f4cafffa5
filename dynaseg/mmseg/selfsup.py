"""DynaSeg in mmselfsup: ``custom_imports = dict(imports=['dynaseg.mmseg.selfsup'])``.

It registers :class:`SegmentationImages`, and repairs what mmselfsup needs to train in one process.
"""

from mmseg.datasets import build_dataset
from mmselfsup.datasets.builder import DATASOURCES
from mmselfsup.datasets.data_sources.base import BaseDataSource
from PIL import Image

from dynaseg.mmseg.compat import repair_mmselfsup

repair_mmselfsup()


@DATASOURCES.register_module()
class SegmentationImages(BaseDataSource):
    """The images of a data set of MMSegmentation as a data source of mmselfsup, without labels.

    A backbone is so trained on the very images that DynaSeg trains on afterwards.

    Args:
        dataset: config of the data set without its pipeline; ``ImageFolderDataset`` takes any
            folder of images.
        **kwargs: further arguments of mmselfsup's ``BaseDataSource``.

    Raises:
        FileNotFoundError, ValueError: as the data set.

    Examples:
        >>> settings = dict(type='ImageFolderDataset', img_dir='holiday')
        >>> source = SegmentationImages(settings)
        Traceback (most recent call last):
        ...
        FileNotFoundError: ImageFolderDataset: no image folder holiday
    """

    def __init__(self, dataset: dict, **kwargs) -> None:
        self.dataset = build_dataset({**dataset, 'pipeline': [{'type': 'LoadImage'}]})
        super().__init__(data_prefix='', **kwargs)

    def load_annotations(self) -> list[dict]:
        """List the images."""
        return self.dataset.img_infos

    def get_img(self, idx: int) -> Image.Image:
        """Read an image, RGB."""
        return Image.fromarray(self.dataset[idx]['img'][..., ::-1].copy())
