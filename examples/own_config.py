# Your own config: the recipe for a folder of images, with 8 clusters and a short schedule.
#   mim train dynaseg own_config.py --gpus 1 --no-validate \
#       --cfg-options data.train.img_dir=PHOTOS
from dynaseg.mmseg.configs import find_config

_base_ = str(find_config('fsf_efficientnet-lite0_200_folder.py'))
model = dict(decode_head=dict(num_classes=8))
runner = dict(max_iters=100)
