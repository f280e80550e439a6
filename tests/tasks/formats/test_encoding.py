"""Text in other encodings: as UTF-8 in one piece or in many, and a byte that is none named by line and offset."""

from __future__ import annotations

import codecs

import pytest

from tasks.formats.encoding import NotEncoded, codec_of, decoded, decoded_pieces, wrong_encoding

TEXT = "größe,€\r\nä,1\n" * 50


@pytest.mark.parametrize("codec", ["cp1252", "utf-16", "utf-16-le", "utf-32", "iso8859-15", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("size", [1, 3, 7, 4096])
def test_pieces_make_what_the_whole_makes(codec: str, size: int) -> None:
    """However a character is torn between two pieces."""
    content = TEXT.encode(codec)
    assert decoded(content, codec) == TEXT.encode()
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    assert b"".join(decoded_pieces(pieces, codec)) == TEXT.encode()


@pytest.mark.parametrize(
    ("content", "codec", "told"),
    [
        (b"a,b\n1,2\n3,\x81\n", "cp1252", "0x81 in line 3, byte 10 is no text in cp1252"),
        ("a\nb".encode("utf-16") + b"\x00", "utf-16", "0x00 in line 2, byte 8 is no text in utf-16"),
        (
            b"a\n1\n",
            "utf-16",
            "it has no byte order mark; expected encoding='utf-16-le' or 'utf-16-be', or no encoding=",
        ),
        (b"a\n\n\xe4", "gb18030", "in line 3, byte 3 is no text in gb18030"),
    ],
)
def test_a_byte_that_is_no_text_is_named(content: bytes, codec: str, told: str) -> None:
    """The same line and byte, however the text is cut."""
    with pytest.raises(NotEncoded) as whole:
        decoded(content, codec)
    assert told in str(whole.value)
    for size in (1, 2, 5):
        with pytest.raises(NotEncoded) as caught:
            list(decoded_pieces((content[at : at + size] for at in range(0, len(content), size)), codec))
        assert str(caught.value) == str(whole.value)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("size", [1, 3, 4096])
def test_a_byte_order_mark_is_no_text(codec: str, size: int) -> None:
    """Where the order is declared the mark is taken away; where it is not, its lack is no guess."""
    content = ("\N{ZERO WIDTH NO-BREAK SPACE}" + TEXT).encode(codec)
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    assert decoded(content, codec) == b"".join(decoded_pieces(pieces, codec)) == TEXT.encode()
    unmarked, marked = TEXT.encode(codec), codec[:6]
    told = f"it has no byte order mark; expected encoding='{marked}-le' or '{marked}-be'"
    for act in (lambda: decoded(unmarked, marked), lambda: list(decoded_pieces([unmarked], marked))):
        with pytest.raises(NotEncoded) as caught:
            act()
        assert str(caught.value) == f"{told}, or no encoding= where it is UTF-8"
    assert decoded(b"", marked) == b"".join(decoded_pieces([], marked)) == b""


def test_polars_own_encodings_are_left_to_polars() -> None:
    """``utf8`` by any of its names, and ``utf8-lossy``; a byte order mark is Python's to take away."""
    assert [codec_of(one) for one in ("utf8", "UTF-8", "utf8-lossy", "u8")] == [None] * 4
    assert codec_of("latin1") == "iso8859-1"
    assert codec_of("utf_8_sig") == "utf-8-sig"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("cp1253x", "there is no encoding 'cp1253x'; did you mean 'cp1253'?"),
        ("Latin-l", "there is no encoding 'Latin-l'; did you mean 'latin"),
        ("rot13", "encoding='rot13' is no encoding of text"),
        ("a\0b", "there is no encoding"),
        ("", "there is no encoding ''"),
        (7, "encoding=7, expected the name of an encoding such as 'cp1252'"),
    ],
)
def test_an_encoding_that_is_none(encoding: object, told: str) -> None:
    """The nearest name is told."""
    assert told in (wrong_encoding(encoding) or "")
    assert wrong_encoding("cp1252") is None


@pytest.mark.parametrize("encoding", ["mbcs", "oem", "dbcs"])
def test_no_encoding_is_proposed_that_is_not_there(encoding: str) -> None:
    """Python knows the names of Windows' own encodings everywhere."""
    with pytest.raises(LookupError):
        codecs.lookup(encoding)
    wrong = wrong_encoding(encoding)
    assert wrong is not None
    assert "'mbcs'?" not in wrong
