def check_settings(settings: dict[str, tuple[object, bool, str]]) -> None:
    """Raise an error for the first setting that is out of its range.

    Args:
        settings: by name, the value, whether it is right, and what is expected.

    Raises:
        ValueError: if one is not right; it names the setting, its value and what is expected.

    Example:
        >>> check_settings({'radius': (0, False, 'at least 1')})
        Traceback (most recent call last):
        ValueError: radius must be at least 1, got 0
    """
    for name, (value, right, expected) in settings.items():
        if not right:
            raise ValueError(f'{name} must be {expected}, got {value!r}')
