"""The aggregations of tests/whole/test_dirt.py, as a user would write them: two for each kind of dirt."""

from __future__ import annotations

from tests.whole.dirt_cases import CASES

_MODULE = '''"""Each kind of dirt as a user declares it first, and with the argument for it."""

import polars as pl

from tasks.catalog import Source, aggregation


def whole_lines(content: bytes) -> bytes:
    """The lines of three fields: without what a crash left at the end."""
    lines = content.rstrip(b"\\0").splitlines(keepends=True)
    return b"".join(line for line in lines if line.endswith(b"\\n") and line.count(b",") == 2)


def three_fields(content: bytes) -> bytes:
    """Lines without the field that is too much."""
    return content.replace(b",+,", b",")


def one_header(content: bytes) -> bytes:
    """The first header alone."""
    header, rest = content.split(b"\\n", 1)
    return header + b"\\n" + rest.replace(header + b"\\n", b"")


def objects(content: bytes) -> bytes:
    """The lines that are objects."""
    return b"".join(line for line in content.splitlines(keepends=True) if line.startswith(b"{"))


def or_header(content: bytes) -> bytes:
    """A header where there is nothing."""
    return content or b"shop,note,items\\n"
'''
_AGGREGATION = '''

@aggregation(Source("{folder}/{template}"{arguments}))
def {name}(raw: pl.LazyFrame) -> pl.LazyFrame:
    """{what}."""
    return raw.select({select})
'''


def module() -> str:
    """The user's module."""
    parts = [_MODULE]
    for case in CASES:
        sources = {case.plain_name: case.plain}
        if case.mended:
            sources[case.mended_name] = ", ".join(filter(None, (case.plain, case.mended)))
        for name, arguments in sources.items():
            given = {"folder": case.folder, "template": case.template, "select": case.select}
            shown = f", {arguments}" if arguments else ""
            parts.append(_AGGREGATION.format(name=name, what=case.name, arguments=shown, **given))
    return "".join(parts)
