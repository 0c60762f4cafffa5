class UserError(ValueError):
    """An error that the user of a command can fix; it is shown without a traceback."""
