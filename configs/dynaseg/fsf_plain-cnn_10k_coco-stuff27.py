_base_ = './scf_plain-cnn_10k_coco-stuff27.py'
model = dict(decode_head=dict(loss_decode=dict(weighting='fsf')))
