"""The core in your own training loop: only PyTorch, no OpenMMLab."""

import torch
from sklearn.datasets import load_sample_image

from dynaseg.core import DynaSegLoss, ResponseNetwork
from dynaseg.core.normalization import Normalization

image = torch.from_numpy(load_sample_image('flower.jpg')[::4, ::4].copy()).permute(2, 0, 1)[None]
image = Normalization()(image)
network = ResponseNetwork(channels=32)
criterion = DynaSegLoss(weighting='fsf')
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
for step in range(20):
    parts = criterion(network(image))
    loss = parts['loss_sim'] + parts['loss_con']
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f'step {step:2d}  loss {loss:.3f}  clusters {parts["num_clusters"]:.0f}')
