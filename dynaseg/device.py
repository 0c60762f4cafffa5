import torch


def find_device(device: str | torch.device | None = None) -> torch.device:
    """Find a device to compute on.

    Args:
        device: such as ``'cpu'`` or ``'cuda:1'``; the GPU where None and there is one.

    Returns:
        The device.

    Raises:
        ValueError: if there is no such device, or it computes nothing.

    Examples:
        >>> find_device('cpu')
        device(type='cpu')
    """
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device {device!r} is unknown: expected 'cpu', 'cuda' ...") from error
    if device.type == 'meta':
        raise ValueError("device 'meta' computes nothing: expected 'cpu', 'cuda' ...")
    if device.type == 'cuda':
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise ValueError(f'device {str(device)!r} is not there: PyTorch sees {count} GPUs')
        return device
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition('\n')[0]
        raise ValueError(f'device {str(device)!r} is not there: {reason}') from error
    return device
