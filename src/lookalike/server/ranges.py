"""Which part of a file a client asks for, as RFC 9110 describes it in section 14.

A download that broke off is carried on so. Several parts at once are not sent: such a client gets the whole file.
"""

import re

from starlette.datastructures import Headers

from lookalike.server.problems import ProblemError

_ONE_RANGE = re.compile(r"bytes=[ \t]*(?:(\d{1,19})-(\d{1,19})?|-(\d{1,19}))[ \t]*", re.ASCII | re.IGNORECASE)


def wanted(headers: Headers, etag: str, size: int) -> range | None:
    """The bytes of a file of `size` bytes that a request asks for; None is all of them.

    `If-Range` makes sure that the client has the beginning of this very file.

    Raises:
        ProblemError: 416, the file has no such bytes.
    """
    found = _ONE_RANGE.fullmatch(headers.get("range", ""))
    if not found or headers.get("if-range", etag).strip() != etag:
        return None
    first, last, tail = (None if each is None else int(each) for each in found.groups())
    if first is None:
        assert tail is not None
        asked = range(max(size - tail, 0), size)
    elif last is not None and last < first:
        return None
    else:
        asked = range(first, size if last is None else min(last + 1, size))
    if not asked:
        detail = f"Range: the file has {size} bytes; ask for some of these"
        headers_ = {"Content-Range": f"bytes */{size}"}
        raise ProblemError(416, "There are no such bytes", detail, headers=headers_)
    return asked
