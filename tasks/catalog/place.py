"""What messages say of a user's function: where it stands, where an error came from, and what it returned instead."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import polars as pl


def place_of(function: Callable[..., Any]) -> str:
    """File and line of a function; its name where it has no Python code."""
    if code := _code(function):
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def place_of_error(function: Callable[..., Any], error: BaseException) -> str:
    """The line of the function's own file that an error came from; where none is, the function's place."""
    if not (code := _code(function)):
        return place_of(function)
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == code.co_filename]
    return f"{Path(code.co_filename).name}:{lines[-1]}" if lines else place_of(function)


def _code(function: object) -> CodeType | None:
    """The code of a function, also below decorators and ``functools.partial``, or of a callable object."""
    while isinstance(function, partial):
        function = function.func
    plain: object = inspect.unwrap(function) if callable(function) else function
    return getattr(plain, "__code__", None) or getattr(getattr(plain, "__call__", None), "__code__", None)  # noqa: B004


def returned(value: object, expected: str) -> str:
    """What a user's function returned in the place of what was expected, and what to do."""
    next_step = ""
    if value is None:
        next_step = ": a return statement is missing"
    elif isinstance(value, pl.DataFrame):
        next_step = ": add .lazy()"
    found = "None" if value is None else type(value).__name__
    return f"it returned {found}, expected {expected}{next_step}"
