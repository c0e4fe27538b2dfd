"""The program `lookalike`, also as `python -m lookalike`.

It imports little itself, so that Ctrl-C is handled before the rest is imported, which takes most of a short command.
"""

import os
import signal
import sys

_STOPPED = 130  # the exit code of a program that Ctrl-C has stopped


def main() -> None:
    """Runs the command line and exits. Ctrl-C before and after it exits at once, without a word."""
    if callable(signal.getsignal(signal.SIGINT)):  # else Ctrl-C is ignored, as a script may have it
        signal.signal(signal.SIGINT, lambda *_: os._exit(_STOPPED))
    sys.unraisablehook = _exit_on_ctrl_c
    from lookalike.cli.main import main as run

    run()


def _exit_on_ctrl_c(error: "sys.UnraisableHookArgs") -> None:
    """Exits if Ctrl-C was pressed while an object was destroyed, which Python would ignore with a traceback."""
    if error.exc_type is KeyboardInterrupt:
        os._exit(_STOPPED)
    sys.__unraisablehook__(error)


if __name__ == "__main__":
    main()
