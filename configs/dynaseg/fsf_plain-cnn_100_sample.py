_base_ = './scf_plain-cnn_100_sample.py'
model = dict(decode_head=dict(loss_decode=dict(weighting='fsf')))
