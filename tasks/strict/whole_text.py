"""What pyarrow says of a whole text, without a copy of it: whether it is UTF-8, and whether it has a form."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def is_utf8(text: bytes) -> bool:
    """Whether a text is UTF-8."""
    if text.isascii():
        return True
    import pyarrow as pa  # it takes a tenth of a second, and plain files do without it

    try:
        _array(text, pa.large_utf8()).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def matches(text: bytes, pattern: str) -> bool:
    """Whether a text holds what a pattern of RE2 says of its bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return bool(pc.match_substring_regex(_array(text, pa.large_binary()), pattern)[0].as_py())


def _array(text: bytes, type_of_one: pa.DataType) -> Any:
    """An array whose only value is the text, where it lies."""
    import pyarrow as pa

    ends = pa.py_buffer(struct.pack("=qq", 0, len(text)))
    return pa.Array.from_buffers(type_of_one, 1, [None, ends, pa.py_buffer(text)])
