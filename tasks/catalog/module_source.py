"""Reads the user's modules as source, and tells what a name in them means. Nothing is imported or run for it."""

from __future__ import annotations

import ast
import builtins
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from tasks.catalog.alterations import altered, writes

_OURS = {"tasks", "state", "flows"}
_LIBRARIES = [os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Dotted = tuple[str, ...]
"""A name with its attributes: ``a.b.c``."""


class Statement(NamedTuple):
    """A statement of a module; ``free`` are the names that it takes from its module or from an import of its own."""

    node: ast.stmt
    free: set[str]


@dataclass(frozen=True, eq=False)
class Module:
    """What a module's top level binds: by statements, and by imports (in order; ``*`` holds the star imports).

    ``altered`` holds what else changes a name's value, through what it calls: an entry of a registry, say.
    """

    names: dict[str, list[Statement]] = field(default_factory=dict)
    imports: dict[str, dict[Dotted, None]] = field(default_factory=dict)
    altered: dict[str, list[Statement]] = field(default_factory=dict)


class Unit(NamedTuple):
    """A module-level name: every statement that binds it or alters it in place; or those that alter it by a call."""

    module: Module
    name: str
    altered: bool = False

    @property
    def statements(self) -> list[Statement]:
        """In the order of the file."""
        return (self.module.altered if self.altered else self.module.names)[self.name]


def lookup(module: Module, chain: Dotted, seen: frozenset[Dotted] = frozenset()) -> list[Unit | str]:
    """What a dotted name means at the top of a module; nothing where it is a builtin or unknown."""
    name, *attributes = chain
    found: list[Unit | str] = [Unit(module, name)] if name in module.names else []
    for path in module.imports.get(name, ()):
        found += _targets((*path, *attributes), seen)
    if not found and not hasattr(builtins, name):
        for path in module.imports.get("*", ()):
            found += _targets((*path, *chain), seen)
    return found


def _targets(path: Dotted, seen: frozenset[Dotted] = frozenset()) -> list[Unit | str]:
    """What an absolute dotted name means: units of the user's modules, or for anything else the name itself."""
    if path in seen:  # modules that import each other, or a package that imports its own module
        return []
    for length in range(1, len(path) + 1):
        module = _find(".".join(path[:length]))
        if module is None:
            break
        if length == len(path):  # the module as a value: all of it may matter
            return [Unit(module, name) for name in sorted(module.names)]
        if found := lookup(module, path[length:], seen | {path}):
            return found
    return [".".join(path)]


def _find(name: str) -> Module | None:
    """The user's module of that name; None for one that is Noonmark's, a library's, or nowhere to be found."""
    file, places = _locate(name)
    if name.partition(".")[0] in _OURS or not (file or places) or _is_of_a_library(file or places[0]):
        return None
    if file is None:
        return Module()  # a namespace has none
    return read_module(file, name if places else name.rpartition(".")[0])


@lru_cache(maxsize=4096)
def _is_of_a_library(file: str) -> bool:
    path = Path(os.path.realpath(file))
    return bool({"site-packages", "dist-packages"} & set(path.parts)) or any(map(path.is_relative_to, _LIBRARIES))


def _locate(name: str) -> tuple[str | None, list[str]]:
    """A module's file, and the folders of its submodules. One that is imported late is found without importing it."""
    if loaded := sys.modules.get(name):
        return getattr(loaded, "__file__", None), list(getattr(loaded, "__path__", ()))
    parent = name.rpartition(".")[0]
    search = _locate(parent)[1] if parent else None
    for finder in sys.meta_path if search != [] else ():
        with suppress(KeyError):  # a namespace inside a package that nobody has imported
            if spec := finder.find_spec(name, search):
                return spec.origin if spec.has_location else None, list(spec.submodule_search_locations or ())
    return None, []


def read_module(file: str, package: str) -> Module | None:
    """The module in a file, as the file is now; None without readable Python source."""
    try:
        stat = os.stat(file)
        return _parse(file, package, (stat.st_mtime_ns, stat.st_size)) if file.endswith(".py") else None
    except (OSError, SyntaxError, ValueError, ImportError):
        return None


@lru_cache(maxsize=512)
def _parse(file: str, package: str, _state: tuple[int, int]) -> Module:
    tree, module, statements = ast.parse(Path(file).read_bytes()), Module(), list[Statement]()
    _strip(tree)
    for node in tree.body:
        free = _globals(compile(ast.Module([node], []), file, "exec", dont_inherit=True, optimize=0))
        statement = Statement(node, free)
        for name, path in _imports(node, package):
            free.add(name)
            module.imports.setdefault(name, {})[path] = None
        for name in free & set(_bound(node)):
            module.names.setdefault(name, []).append(statement)
        statements.append(statement)
    functions = {n: [s for s in found if isinstance(s.node, _DEFINITIONS)] for n, found in module.names.items()}
    written = writes(functions)
    for statement in statements:
        for name in sorted(set(altered(statement.node, module.names, written))):
            if statement not in module.names.get(name, ()):
                module.altered.setdefault(name, []).append(statement)
    return module


def _strip(tree: ast.Module) -> None:
    """Remove the docstrings, and the empty pieces of f-strings, of which Python 3.12 has more than 3.11."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = [part for part in node.values if not isinstance(part, ast.Constant) or part.value]
        elif isinstance(node, _DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.copy_location(ast.Pass(), node)]


def _globals(code: CodeType) -> set[str]:
    """Names that compiled code (it is never run) takes from or puts into its module; attributes are among them."""
    return set(code.co_names).union(*(_globals(const) for const in code.co_consts if isinstance(const, CodeType)))


def _bound(node: ast.stmt) -> Iterator[str]:
    """Names that a statement may bind, imports apart, or alter in place: ``TABLE["x"] = 1``, ``TABLE.update(…)``."""
    for part in [node] if isinstance(node, _DEFINITIONS) else ast.walk(node):
        match part:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case (
                ast.Expr(value=ast.Call(func=ast.Attribute(value=place)))
                | ast.Attribute(value=place, ctx=ast.Store() | ast.Del())
                | ast.Subscript(value=place, ctx=ast.Store() | ast.Del())
                | (ast.Name(ctx=ast.Store() | ast.Del()) as place)
            ):
                while isinstance(place, ast.Attribute | ast.Subscript):
                    place = place.value
                if isinstance(place, ast.Name):
                    yield place.id


def _imports(node: ast.stmt, package: str) -> Iterator[tuple[str, Dotted]]:
    """Local name and absolute dotted name of each import; a relative one is taken from ``package``."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            for alias in part.names:
                path = tuple(alias.name.split("."))
                yield (alias.asname, path) if alias.asname else (path[0], path[:1])
        elif isinstance(part, ast.ImportFrom):
            path = tuple(resolve_name("." * part.level + (part.module or ""), package).split("."))
            for alias in part.names:
                yield (alias.asname or alias.name, (*path, alias.name) if alias.name != "*" else path)
