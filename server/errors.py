"""Why a command ends with 1."""


class CommandError(Exception):
    """What was asked for can't be done; the text is one line for the operator, without a setting's value."""
