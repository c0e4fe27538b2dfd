"""Whether this process is a command of Lookalike's, and not somebody else's program that uses it."""

_commands = list[bool]()


def note() -> None:
    """Notes that it is one."""
    _commands.append(True)


def is_command() -> bool:
    """Whether it is one."""
    return bool(_commands)
