"""One-line summaries of the exceptions that third-party libraries raise."""

import re

_MAX_LENGTH = 200  # characters
# How OpenVINO begins the list of operators that it cannot convert.
_UNSUPPORTED = "No conversion rule found"
# Lines of OpenVINO's messages that describe its own internals, not the network.
_NOISE = re.compile(
    r"(Exception from |Check '|\[?FrontEnd API failed|While validating|Model wasn't fully converted"
    r"|.*failed with (General)?Failure:?$)"
)


def one_line(error: BaseException) -> str:
    """Returns the most informative line of an exception's message, or its type if there is no message.

    The cause of a chained exception is preferred. A line of more than 200 characters is cut.
    """
    error = error.__cause__ or error
    if isinstance(error, KeyError) and error.args:
        return f"{error.args[0]!r} is missing"
    lines = [line.strip("\t -") for line in str(error).splitlines() if line.strip("\t -")]
    informative = [line for line in lines if line.startswith(_UNSUPPORTED)] or [
        line for line in lines if not _NOISE.match(line)
    ]
    first, *more = informative or lines or [type(error).__name__]
    line = f"{first} {more[0]}" if first.endswith(":") and more else first
    return line if len(line) <= _MAX_LENGTH else f"{line[:_MAX_LENGTH]} ..."
