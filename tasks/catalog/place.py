"""What messages say of a user's function: where it stands, where an error came from, and what it returned instead."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl


def place_of(function: Callable[..., Any]) -> str:
    """File and line of a function; its name where it has no Python code."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code else repr(function)


def place_of_error(function: Callable[..., Any], error: BaseException) -> str:
    """The line of the function's own file that an error came from; where none is, the function's place."""
    if not (code := getattr(inspect.unwrap(function), "__code__", None)):
        return place_of(function)
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == code.co_filename]
    return f"{Path(code.co_filename).name}:{lines[-1]}" if lines else place_of(function)


def returned(value: object, expected: str) -> str:
    """What a user's function returned in the place of what was expected, and what to do."""
    next_step = ""
    if value is None:
        next_step = ": a return statement is missing"
    elif isinstance(value, pl.DataFrame):
        next_step = ": add .lazy()"
    found = "None" if value is None else type(value).__name__
    return f"it returned {found}, expected {expected}{next_step}"
