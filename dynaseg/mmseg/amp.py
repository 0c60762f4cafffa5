import torch
from mmcv.runner import HOOKS, IterBasedRunner, OptimizerHook

from dynaseg.mmseg.errors import UserError

DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@HOOKS.register_module()
class AmpOptimizerHook(OptimizerHook):
    """Trains in mixed precision: the network computes in 16 bits, the loss and the weights in 32.

    It replaces MMCV's ``Fp16OptimizerHook``, which does nothing on a CPU.

    Args:
        dtype: ``'bfloat16'`` or, on GPUs, ``'float16'`` with loss scaling; by default bfloat16 if
            the device supports it.
        grad_clip: see MMCV's ``OptimizerHook``.

    Raises:
        UserError: if the type is unknown, or the device does not support it.
    """

    def __init__(self, dtype: str | None = None, grad_clip: dict | None = None) -> None:
        super().__init__(grad_clip)
        if dtype is not None and dtype not in DTYPES:
            raise UserError(f'optimizer_config.dtype must be one of {tuple(DTYPES)}, got {dtype!r}')
        self.dtype = dtype

    def before_run(self, runner: IterBasedRunner) -> None:
        """Let the segmentor compute in 16 bits from now on."""
        segmentor = runner.model.module
        device = next(segmentor.parameters()).device.type
        has_bfloat16 = device == 'cpu' or torch.cuda.is_bf16_supported(including_emulation=False)
        name = self.dtype or ('bfloat16' if has_bfloat16 else 'float16')
        if name == 'float16' and device == 'cpu':
            raise UserError("optimizer_config.dtype='float16' is for GPUs: use 'bfloat16' on a CPU")
        if not hasattr(segmentor, 'autocast_dtype'):
            raise UserError(f'AmpOptimizerHook trains a DynaSeg, not a {type(segmentor).__name__}')
        segmentor.autocast_dtype = DTYPES[name]
        self.scaler = torch.amp.GradScaler(device, enabled=name == 'float16')
        state = (runner.meta or {}).get('grad_scaler')
        if state:
            self.scaler.load_state_dict(state)

    def after_train_iter(self, runner: IterBasedRunner) -> None:
        """Take an optimiser step."""
        runner.optimizer.zero_grad()
        self.scaler.scale(runner.outputs['loss']).backward()
        if self.grad_clip is not None:
            self.scaler.unscale_(runner.optimizer)
            self.clip_grads(runner.model.parameters())
        self.scaler.step(runner.optimizer)
        self.scaler.update()
        if self.scaler.is_enabled() and runner.meta is not None:
            runner.meta['grad_scaler'] = self.scaler.state_dict()
