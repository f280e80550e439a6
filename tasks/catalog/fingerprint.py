"""One digest of what an aggregation's code says, so that a change without a new version is noticed.

Source files are read, never run. Seen are the function, the module-level names that it refers to (helpers, classes,
constants, its sources), and so on through the user's own modules, also as ``module.helper`` and ``from module import
helper``. Comments, layout, docstrings and the decorator's ``version=`` and ``references_from=`` do not count.

Not seen, since only a warning depends on it: what a call at import puts into a table (a registry's decorator, single
dispatch, ``setattr``), ``getattr`` and generated code, a module passed on as a value, a package that only the running
function imports, code without a source file, and the inside of libraries.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

KIND = "2"
"""What a fingerprint begins with. Only those of one kind may be compared; the first kind had no such beginning."""

_NOONMARK = {"tasks", "state", "flows"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_WHEN = ("version", "references_from")
"""Arguments of the decorator that change no result."""
_MOST_REEXPORTS = 8
"""How many modules may pass on a name. Two modules that import it from each other would go on for ever."""

Dotted = tuple[str, ...]
"""A name with its attributes: ``a.b.c``."""
_Statement = tuple[str, list[Dotted]]
"""A statement at the top of a module: its text, and the names of the module that it refers to."""


@dataclass(frozen=True, eq=False)
class _Module:
    """What a module binds by statements, and by imports: local name → absolute names (``*``: the star imports)."""

    statements: dict[str, list[_Statement]] = field(default_factory=dict)
    imports: dict[str, list[Dotted]] = field(default_factory=dict)


class _Definition(NamedTuple):
    """A module-level name: all statements that bind it or change it in place."""

    module: _Module
    name: str


def fingerprint(function: Callable[..., object]) -> str:
    """The fingerprint of ``function``: ``KIND``, a colon and a SHA-256 in hex, the same under Python 3.11 to 3.13.

    Raises TypeError for a callable that is no Python function.
    """
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType):
        raise TypeError(f"a fingerprint needs a Python function, found {plain!r}")
    # Definitions are numbered as they are discovered, so that the names and places of modules have no say.
    numbers = {definition: number for number, definition in enumerate(_definitions_of(plain, function))}
    definitions, digest = list(numbers), hashlib.sha256()
    for definition in definitions:  # which grows meanwhile
        for text, references in definition.module.statements[definition.name]:
            digest.update(f"{numbers[definition]} {text}\n".encode())
            for reference in references:
                for meaning in _meaning(definition.module, reference):
                    if isinstance(meaning, _Definition) and meaning not in numbers:
                        numbers[meaning] = len(definitions)
                        definitions.append(meaning)
                    label = numbers[meaning] if isinstance(meaning, _Definition) else meaning
                    digest.update(f"{'.'.join(reference)} = {label}\n".encode())
    return f"{KIND}:{digest.hexdigest()}"


def _definitions_of(plain: FunctionType, function: object) -> Iterator[_Definition]:
    """What the source defines the function in (it may be a factory), and the names that its module gives to it."""
    file, package = (plain.__globals__.get(name) for name in ("__file__", "__package__"))
    module = _read(file, package or "") if isinstance(file, str) else None
    given = (name for name, value in plain.__globals__.items() if value is function)
    for name in dict.fromkeys((plain.__qualname__.partition(".")[0], *sorted(given))):
        if module and name in module.statements:
            yield _Definition(module, name)


def _meaning(module: _Module, name: Dotted, depth: int = 0) -> list[_Definition | str]:
    """What a dotted name means at the top of a module; nothing where it is a builtin or unknown."""
    first, *attributes = name
    found: list[_Definition | str] = [_Definition(module, first)] if first in module.statements else []
    for path in module.imports.get(first, ()):
        found += _target((*path, *attributes), depth)
    if not found and not hasattr(builtins, first):
        for path in module.imports.get("*", ()):
            found += _target((*path, *name), depth)
    return found


def _target(path: Dotted, depth: int) -> list[_Definition | str]:
    """What an absolute dotted name means: definitions of the user's modules, or for anything else the name itself."""
    for length in range(len(path) - 1, 0, -1) if depth < _MOST_REEXPORTS else ():
        module = _find(".".join(path[:length]))
        if module and (found := _meaning(module, path[length:], depth + 1)):
            return found
    return [".".join(path)]


def _find(name: str) -> _Module | None:
    """The user's module of that name, imported or not; None for a library's and for Noonmark's."""
    parent = name.rpartition(".")[0]
    if name.partition(".")[0] in _NOONMARK | sys.stdlib_module_names or (parent and parent not in sys.modules):
        return None  # to find what lies in a package that is not imported yet, Python would import the package
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin or not {"site-packages", "dist-packages"}.isdisjoint(Path(spec.origin).parts):
        return None
    return _read(spec.origin, spec.parent or "")


@lru_cache(maxsize=512)
def _read(file: str, package: str) -> _Module | None:
    """The module in a file; None without readable Python source."""
    module = _Module()
    try:
        tree = ast.parse(Path(file).read_bytes())
        for name, path in dict.fromkeys(_imports(tree, package)):
            module.imports.setdefault(name, []).append(path)
    except (OSError, SyntaxError, ValueError, ImportError):
        return None
    aliases = {name for name, paths in module.imports.items() if ("tasks", "catalog", "aggregation") in paths}
    _strip(tree, aliases | {"aggregation"})
    for node in tree.body:
        code = compile(ast.Module([node], []), file, "exec", dont_inherit=True, optimize=0)
        free = _globals(code).union(name for name, _ in _imports(node, package))
        references = sorted({name for name in _dotted_names(node) if name[0] in free})
        for name in free.intersection(_bound(node)):
            module.statements.setdefault(name, []).append((_dump(node), references))
    return module


def _imports(tree: ast.AST, package: str) -> Iterator[tuple[str, Dotted]]:
    """Local name and absolute dotted name of each import, those inside of functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                path = tuple(alias.name.split("."))
                yield (alias.asname, path) if alias.asname else (path[0], path[:1])
        elif isinstance(node, ast.ImportFrom):
            path = tuple(resolve_name("." * node.level + (node.module or ""), package).split("."))
            for alias in node.names:
                yield (alias.asname or alias.name, (*path, alias.name) if alias.name != "*" else path)


def _strip(tree: ast.Module, aliases: set[str]) -> None:
    """Remove docstrings, what only says when a day is computed, and empty pieces of f-strings: Python 3.12 has more."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = [part for part in node.values if not isinstance(part, ast.Constant) or part.value]
        elif isinstance(node, _DEFINITIONS):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.copy_location(ast.Pass(), node)]
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and {name[-1] for name in _dotted_names(call.func)} & aliases:
                    call.keywords = [keyword for keyword in call.keywords if keyword.arg not in _WHEN]


def _globals(code: CodeType) -> set[str]:
    """Names that compiled code (it is never run) takes from or puts into its module; attributes are among them."""
    return set(code.co_names).union(*(_globals(const) for const in code.co_consts if isinstance(const, CodeType)))


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement may bind, imports apart, or change in place: ``TABLE["x"] = 1``, ``TABLE.update(…)``."""
    for node in [statement] if isinstance(statement, _DEFINITIONS) else ast.walk(statement):
        match node:
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


def _dotted_names(tree: ast.AST) -> Iterator[Dotted]:
    """Every ``a.b.c`` that begins with a name."""
    rest = [tree]
    while rest:
        node = base = rest.pop()
        attributes: list[str] = []
        while isinstance(base, ast.Attribute):
            attributes.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            yield (base.id, *attributes)
        else:
            rest += ast.iter_child_nodes(node)


def _dump(tree: ast.AST) -> str:
    """The tree as text, alike under every Python; ``ast.unparse`` and ``ast.dump`` are not."""
    said: list[str] = []
    rest: list[object] = [tree]  # no recursion: a long chain of method calls nests deeper than Python recurses
    while rest:
        item = rest.pop()
        if isinstance(item, ast.AST) and not isinstance(item, ast.Constant):
            fields = {name: value for name, value in ast.iter_fields(item) if value not in (None, [])}
            said.append(f"{type(item).__name__}({','.join(fields)})")
            rest += reversed(fields.values())
        elif isinstance(item, list):
            said.append(f"[{len(item)}]")
            rest += reversed(item)
        else:
            said.append(ascii(item.value if isinstance(item, ast.Constant) else item))
    return " ".join(said)
