"""Which names of a module a statement alters through what it calls at import, without assigning to them.

A registry is filled so: by a decorator, by a method's method, by a function that writes to a table of its module.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator, Mapping, Sequence, Set

_SETTERS = {"setattr", "delattr", "setitem", "delitem"}
_FILLERS = {"add", "append", "extend", "insert", "setdefault", "update"}  # which may stand in an expression too
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def altered(statement: ast.stmt, names: Container[str], written: Mapping[str, Set[str]]) -> Iterator[str]:
    """Names that a statement at the top of a module alters as it runs.

    ``names`` are those that the module itself binds; ``written`` is what each of its functions writes to when called.
    """
    for part in _at_import(statement):
        match part:
            case ast.Call(func=ast.Name(id=name)):
                yield from written.get(name, ())
        for decorator in getattr(part, "decorator_list", ()):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            root = _root(called)
            if isinstance(called, ast.Name):
                yield from written.get(root, ())
            # A library's decorators tell nothing (`functools.cache`), but for those that say that they register.
            elif root in names or getattr(called, "attr", "").startswith("register"):
                yield root
        yield from _places(part)


def writes(functions: Mapping[str, Sequence[tuple[ast.stmt, Set[str]]]]) -> dict[str, set[str]]:
    """What each function writes to outside itself, through those that it calls too.

    Each comes with the names that it takes from its module: a local variable is no place outside.
    """
    found: dict[str, set[str]] = {}
    calls: dict[str, set[str]] = {}
    for name, statements in functions.items():
        found[name], calls[name] = set(), set()
        for node, free in statements:
            for part in ast.walk(node):
                found[name] |= free & {*_places(part), *(part.names if isinstance(part, ast.Global) else ())}
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in functions:
                    calls[name].add(part.func.id)
    grown = True
    while grown:
        before = sum(map(len, found.values()))
        for name, called in calls.items():
            found[name].update(*(found[other] for other in called))
        grown = sum(map(len, found.values())) > before
    return found


def _at_import(statement: ast.stmt) -> Iterator[ast.AST]:
    """What of a statement runs at import: no function's or class's body, and nothing that only a script runs."""
    rest: list[ast.AST] = [statement]
    while rest:
        part = rest.pop()
        yield part
        if isinstance(part, (*_FUNCTIONS, ast.ClassDef)):
            rest += part.decorator_list
        elif not isinstance(part, ast.Lambda) and not (isinstance(part, ast.If) and "__main__" in ast.dump(part.test)):
            rest += ast.iter_child_nodes(part)


def _places(part: ast.AST) -> Iterator[str]:
    """The name whose value a piece of code changes in place: `a.b = 1`, `a["b"] = 1`, `a.b().c()`, `setattr(a, …)`."""
    match part:
        case (
            ast.Attribute(value=place, ctx=ast.Store() | ast.Del())
            | ast.Subscript(value=place, ctx=ast.Store() | ast.Del())
            | ast.Expr(value=ast.Call(func=ast.Attribute(value=place)))
        ):
            yield _root(place)
        case ast.Call(func=ast.Attribute(value=place, attr=called)) if called in _FILLERS:
            yield _root(place)
        case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[place, *_]) if called in _SETTERS:
            yield _root(place)


def _root(place: ast.AST) -> str:
    """The name that a chain of attributes, items and calls begins with; nothing where it begins otherwise."""
    while isinstance(place, ast.Attribute | ast.Subscript | ast.Call):
        place = place.func if isinstance(place, ast.Call) else place.value
    return place.id if isinstance(place, ast.Name) else ""
