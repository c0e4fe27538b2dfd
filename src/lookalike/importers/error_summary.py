"""What other people's libraries say in their errors, in one line."""

import re

_LONGEST = 200  # characters
# How OpenVINO begins to list what it has no counterpart for, and what it says of itself rather than of the network.
_UNKNOWN = "No conversion rule found"
_NOISE = re.compile(
    r"(Exception from |Check '|\[?FrontEnd API failed|While validating|Model wasn't fully converted"
    r"|.*failed with (General)?Failure:?$)"
)


def reason(error: BaseException) -> str:
    """What tells most in an error of other people's, in one line, or its type where it says nothing."""
    error = error.__cause__ or error
    lines = [line.strip("\t -") for line in str(error).splitlines() if line.strip("\t -")]
    telling = [line for line in lines if line.startswith(_UNKNOWN)] or [
        line for line in lines if not _NOISE.match(line)
    ]
    first, *more = telling or lines or [type(error).__name__]
    line = f"{first} {more[0]}" if first.endswith(":") and more else first
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
