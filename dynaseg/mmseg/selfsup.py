"""DynaSeg in mmselfsup: ``custom_imports = dict(imports=['dynaseg.mmseg.selfsup'])``.

It registers :class:`SegmentationImages` and :class:`FullBatchHook`, and repairs what mmselfsup
needs to train in one process.
"""

from mmcv.runner import HOOKS, EpochBasedRunner, Hook
from mmseg.datasets import build_dataset
from mmselfsup.datasets.builder import DATASOURCES
from mmselfsup.datasets.data_sources.base import BaseDataSource
from PIL import Image

from dynaseg.mmseg.compat import repair_mmselfsup
from dynaseg.mmseg.errors import UserError
from dynaseg.mmseg.training_data import list_parts

repair_mmselfsup()


@DATASOURCES.register_module()
class SegmentationImages(BaseDataSource):
    """The images of an MMSegmentation data set as an mmselfsup data source, without labels.

    A backbone is thus trained on the same images that DynaSeg trains on afterwards.

    Args:
        dataset: config of the data set without its pipeline, which repeats or joins no others;
            ``ImageFolderDataset`` takes any folder of images.
        **kwargs: further arguments of mmselfsup's ``BaseDataSource``.

    Raises:
        FileNotFoundError, ValueError: see the data set.

    Examples:
        >>> settings = dict(type='ImageFolderDataset', img_dir='holiday')
        >>> source = SegmentationImages(settings)
        Traceback (most recent call last):
        ...
        FileNotFoundError: ImageFolderDataset: no image folder holiday
    """

    def __init__(self, dataset: dict, **kwargs) -> None:
        self.dataset = build_dataset({**dataset, 'pipeline': [{'type': 'LoadImage'}]})
        if list_parts(self.dataset) != [self.dataset]:
            raise ValueError('dataset must be a single data set, which repeats or joins no others')
        super().__init__(data_prefix='', **kwargs)

    def load_annotations(self) -> list[dict]:
        """List the images."""
        return self.dataset.img_infos

    def get_img(self, idx: int) -> Image.Image:
        """Read an image, RGB."""
        return Image.fromarray(self.dataset[idx]['img'][..., ::-1].copy())


@HOOKS.register_module()
class FullBatchHook(Hook):
    """Refuses a data set smaller than a batch, on which an epoch would train nothing.

    Momentum contrast drops the last incomplete batch of an epoch, since its queue takes whole
    batches; with fewer images than a batch, it would drop all and save random weights.
    """

    def before_train_epoch(self, runner: EpochBasedRunner) -> None:
        """Raise ``UserError`` if there is no batch; it says what to set."""
        if not len(runner.data_loader):
            raise UserError(
                f'{len(runner.data_loader.dataset)} images do not fill a batch of '
                f'{runner.data_loader.batch_size}: nothing would be trained; lower '
                'data.samples_per_gpu, by which model.queue_len must be divisible'
            )
