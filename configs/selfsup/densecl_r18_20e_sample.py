# The 64 training images of the sample data, 160 x 120.
_base_ = './densecl_r18_20e_folder.py'
work_dir = './work_dirs/{{ fileBasenameNoExtension }}'
model = dict(queue_len=48)
sample = dict(_delete_=True, type='CocoStuff27Dataset', data_root='data/sample')
data = dict(samples_per_gpu=16, train=dict(data_source=dict(dataset=sample)))
