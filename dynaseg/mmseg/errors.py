class UserError(ValueError):
    """What the user of a command can mend; it is shown in one line, without a traceback."""
