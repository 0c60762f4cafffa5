_base_ = './scf_r18-fpn_100_sample.py'
model = dict(decode_head=dict(loss_decode=dict(weighting='fsf')))
