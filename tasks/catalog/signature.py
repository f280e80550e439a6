"""What a user's function takes by name, asked of its signature while the user's module is imported.

Noonmark passes a keyword-only ``day`` or ``name`` to those functions that declare it, and to no others.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

from state.errors import nearest

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def positional(function: Callable[..., Any]) -> list[str]:
    """The parameters that need a value by position."""
    return [one.name for one in _parameters(function) if one.kind in _POSITIONAL and _needed(one)]


@lru_cache(maxsize=1024)
def keyword_only(function: Callable[..., Any]) -> frozenset[str]:
    """The names of the keyword-only parameters."""
    return frozenset(one.name for one in _parameters(function) if one.kind is inspect.Parameter.KEYWORD_ONLY)


def wanted(function: Callable[..., Any], **offered: Callable[[], object]) -> dict[str, Any]:
    """What of the offered values the function declares as keyword-only parameters. Only these are made."""
    return {name: offered[name]() for name in offered.keys() & keyword_only(function)}


def wrong_keywords(function: Callable[..., Any], offered: Collection[str]) -> str | None:
    """What is wrong with keyword-only parameters that get no value; None where each is offered or has a default."""
    for one in _parameters(function):
        if one.kind is inspect.Parameter.KEYWORD_ONLY and _needed(one) and one.name not in offered:
            near = nearest(one.name, offered)
            meant = f"; did you mean {near!r}?" if near else f"; Noonmark passes {' and '.join(offered)}"
            return f"its keyword-only parameter {one.name!r} has no default, and nothing passes it{meant}"
    return None


def wrong_function(function: object, takes: str, offered: Collection[str]) -> str | None:
    """What is wrong with a function of one positional parameter, which takes what ``takes`` says."""
    if not callable(function):
        return f"found {function!r}, expected a function of {takes}"
    if any(kind(function) for kind in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)):
        return f"it is asynchronous; expected a plain function of {takes}"
    if inspect.isgeneratorfunction(function):
        return f"it is a generator; expected a plain function of {takes} that returns its result"
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a function of C may have none
        return None
    needed = positional(function)
    if not any(one.kind in (*_POSITIONAL, inspect.Parameter.VAR_POSITIONAL) for one in parameters) and parameters:
        return f"it takes nothing by position; expected one parameter for {takes}"
    if len(needed) > 1 or not parameters:
        named = next((f", and '*' before {name}" for name in needed[1:] if name in offered), "")
        return f"it takes {len(needed)} values ({', '.join(needed)}); expected one, {takes}{named}"
    return wrong_keywords(function, offered)


def unknown_keyword(function: Callable[..., Any], given: Collection[str]) -> str | None:
    """The first name of ``given`` that the function does not take by name, as a message; None where it takes all."""
    parameters = _parameters(function)
    if not parameters or any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        return None
    known = [one.name for one in parameters if one.kind in _NAMED][parameters[0].kind in _POSITIONAL :]
    for name in given:
        if name not in known:
            near = nearest(name, known)
            return f"takes no option {name!r}" + (f"; did you mean {near!r}?" if near else "")
    return None


def _needed(one: inspect.Parameter) -> bool:
    return one.default is inspect.Parameter.empty


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a function of C may have no signature
        return []
