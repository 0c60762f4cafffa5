# The 300 training images of CamVid.
_base_ = './densecl_r18_20e_folder.py'
work_dir = './work_dirs/{{ fileBasenameNoExtension }}'
camvid = dict(_delete_=True, type='CamVidDataset', data_root='data/camvid', subset='train')
data = dict(train=dict(data_source=dict(dataset=camvid)))
