_base_ = './fsf_plain-cnn_fit-full_voc12.py'
model = dict(decode_head=dict(loss_decode=dict(weighting='fixed')))
