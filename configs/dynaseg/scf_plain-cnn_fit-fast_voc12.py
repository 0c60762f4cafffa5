_base_ = './fsf_plain-cnn_fit-fast_voc12.py'
model = dict(decode_head=dict(loss_decode=dict(weighting='scf')))
