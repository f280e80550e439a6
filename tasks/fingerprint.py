"""What an aggregation's code says, as one digest: so that a change of meaning without a new version is noticed.

Source is read, never run, so a fingerprint does not depend on what else was imported, called or patched before.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import inspect
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

_AGGREGATION = "tasks.catalog.aggregation"
_OURS = {"tasks", "state", "flows"}
_LIBRARIES = [os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_SILENT = {"ctx", "kind", "type_comment"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Dotted = tuple[str, ...]


class _Statement(NamedTuple):
    node: ast.stmt
    free: set[str]  # names that it takes from its module or from an import of its own


@dataclass(frozen=True, eq=False)
class _Module:
    names: dict[str, list[_Statement]] = field(default_factory=dict)
    imports: dict[str, dict[_Dotted, None]] = field(default_factory=dict)  # in order; "*" holds the star imports


class _Unit(NamedTuple):
    """A module-level name: every statement that binds or alters it."""

    module: _Module
    name: str


def fingerprint(function: Callable[..., object]) -> str:
    """The SHA-256, in hex, of what ``function`` says.

    That is its source and the source of every module-level name it refers to (functions, classes, constants, the
    sources in its decorator), and so on through the user's modules; of other libraries, which name is meant. Comments,
    layout, docstrings, places in the file and the decorator's ``version=`` do not count. Files are read as they are
    now, so ask right after the import. What is reached by ``getattr`` or ``globals()`` is not seen.

    A function made inside another counts with its closure and defaults. One without a source file (typed at a prompt)
    counts by its constants and names alone, helpers apart; only then the Python version may matter.

    Raises TypeError for a callable that is no Python function.
    """
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType):
        raise TypeError(f"a fingerprint needs a Python function, found {plain!r}")
    units: list[_Unit] = []  # in the order of discovery: no path, line or module's name has a say in it

    def label(target: _Unit | str) -> str:
        if isinstance(target, str):
            return target
        if target not in units:
            units.append(target)
        return str(units.index(target))

    said = [label(start) for start in _starts(plain)]
    for number, unit in enumerate(units):  # which grows meanwhile
        said.append(f"unit {number}")
        for node, free in unit.module.names[unit.name]:
            _forget_version(node, unit.module)
            said.append(_dump(node))
            for chain in sorted({chain for chain in _chains(node) if chain[0] in free}):
                targets = _lookup(unit.module, chain)
                said += [f"{'.'.join(chain)} = {' '.join(map(label, targets))}"] if targets else []
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _starts(function: FunctionType) -> Iterator[_Unit | str]:
    """The module-level name that defines the function; and what only the live function can tell."""
    home = _home(function)
    yield home or _value(function)
    if home is None or "<locals>" in function.__qualname__:
        yield _value([function.__defaults__, *sorted((function.__kwdefaults__ or {}).items())])
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # still empty: the function asks from within its own decorator
                held = inspect.unwrap(cell.cell_contents)
                yield (_home(held) if isinstance(held, FunctionType) else None) or _value(held)


def _home(function: FunctionType) -> _Unit | None:
    file, package = (function.__globals__.get(name) for name in ("__file__", "__package__"))
    module = _read(file, package or "") if isinstance(file, str) else None
    name = function.__qualname__.partition(".")[0]
    return _Unit(module, name) if module and name in module.names else None


def _value(value: object) -> str:
    """A live value without addresses or hash order; of what is no plain data, its type."""
    code = getattr(value, "__code__", value)
    if isinstance(code, CodeType):
        return _value([code.co_consts, code.co_names])
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_value, value))}]"
    if isinstance(value, set | frozenset):
        return f"{{{','.join(sorted(map(_value, value)))}}}"
    return ascii(value) if isinstance(value, str | bytes | int | float | complex | None) else type(value).__qualname__


def _dump(node: ast.AST) -> str:
    """The tree in prefix order, the same text under every Python.

    `ast.unparse` differs between versions in its quotes, `ast.dump` in the empty fields that it shows.
    """
    said: list[str] = []
    rest: list[object] = [node]  # a stack, for a chain of method calls nests deeper than Python recurses
    while rest:
        item = rest.pop()
        if isinstance(item, ast.Constant):
            said.append(ascii(item.value))
        elif isinstance(item, ast.AST):
            fields = {k: v for k, v in ast.iter_fields(item) if k not in _SILENT and v not in (None, [])}
            said.append(f"{type(item).__name__}({','.join(fields)})")
            rest += reversed(fields.values())
        elif isinstance(item, list):
            said.append(f"[{len(item)}]")
            rest += reversed(item)
        else:
            said.append(ascii(item))
    return " ".join(said)


def _forget_version(statement: ast.stmt, module: _Module) -> None:
    """Drop ``version=`` from the aggregation's decorator: it is the answer to a change, and not itself one."""
    calls = [d for node in ast.walk(statement) for d in getattr(node, "decorator_list", ()) if isinstance(d, ast.Call)]
    for call in calls:
        if any(_AGGREGATION in _lookup(module, chain) for chain in _chains(call.func)):
            call.keywords = [keyword for keyword in call.keywords if keyword.arg != "version"]


def _chains(node: ast.AST) -> Iterator[_Dotted]:
    """Every ``a.b.c`` that begins with a name."""
    rest = [node]
    while rest:
        item = base = rest.pop()
        attributes: list[str] = []
        while isinstance(base, ast.Attribute):
            attributes.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            yield (base.id, *attributes)
        else:
            rest += ast.iter_child_nodes(item)


def _lookup(module: _Module, chain: _Dotted, seen: frozenset[_Dotted] = frozenset()) -> list[_Unit | str]:
    """What a dotted name means at the top of a module; nothing where it is a builtin or unknown."""
    name, *attributes = chain
    found: list[_Unit | str] = [_Unit(module, name)] if name in module.names else []
    for path in module.imports.get(name, ()):
        found += _targets((*path, *attributes), seen)
    if not found and not hasattr(builtins, name):
        for path in module.imports.get("*", ()):
            found += _targets((*path, *chain), seen)
    return found


def _targets(path: _Dotted, seen: frozenset[_Dotted] = frozenset()) -> list[_Unit | str]:
    """What an absolute dotted name means: units of the user's modules, or for anything else the name itself."""
    if path in seen:  # modules that import each other, or a package that imports its own module
        return []
    for length in range(1, len(path) + 1):
        module = _find(".".join(path[:length]))
        if module is None:
            break
        if length == len(path):  # the module as a value: all of it may matter
            return [_Unit(module, name) for name in sorted(module.names)]
        if found := _lookup(module, path[length:], seen | {path}):
            return found
    return [".".join(path)]


def _find(name: str) -> _Module | None:
    """The user's module of that name; None for one that is Noonmark's, a library's, or nowhere to be found."""
    file, places = _locate(name)
    if name.partition(".")[0] in _OURS or not (file or places):
        return None
    path = Path(os.path.realpath(file or places[0]))
    if {"site-packages", "dist-packages"} & set(path.parts) or any(map(path.is_relative_to, _LIBRARIES)):
        return None
    return _read(file, name if places else name.rpartition(".")[0]) if file else _Module()  # a namespace has no file


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


def _read(file: str, package: str) -> _Module | None:
    """The module in a file, as the file is now; None without readable Python source."""
    try:
        stat = os.stat(file)
        return _parse(file, package, (stat.st_mtime_ns, stat.st_size)) if file.endswith(".py") else None
    except (OSError, SyntaxError, ValueError, ImportError):
        return None


@lru_cache(maxsize=512)
def _parse(file: str, package: str, _state: tuple[int, int]) -> _Module:
    tree, module = ast.parse(Path(file).read_bytes()), _Module()
    _strip(tree)
    for node in tree.body:
        free = _globals(compile(ast.Module([node], []), file, "exec", dont_inherit=True, optimize=0))
        statement = _Statement(node, free)
        for name, path in _imports(node, package):
            free.add(name)
            module.imports.setdefault(name, {})[path] = None
        for name in free & set(_bound(node)):
            module.names.setdefault(name, []).append(statement)
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


def _imports(node: ast.stmt, package: str) -> Iterator[tuple[str, _Dotted]]:
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
