_base_ = './fsf_plain-cnn_fit-fast_bsds500.py'
model = dict(decode_head=dict(loss_decode=dict(weighting='fixed')))
