"""What an aggregation's code says, as one digest: so that a change of meaning without a new version is noticed.

Source is read, never run, so a fingerprint does not depend on what else was imported, called or patched before.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from types import CodeType, FunctionType
from typing import NamedTuple

from tasks.catalog.module_source import Dotted, Module, Unit, lookup, read_module

_AGGREGATION = "tasks.catalog.aggregation"
_SILENT = {"ctx", "kind", "type_comment"}


def fingerprint(function: Callable[..., object]) -> str:
    """The SHA-256, in hex, of what ``function`` says.

    That is its source and the source of every module-level name it refers to (functions, classes, constants, the
    sources in its decorator), and so on through the user's modules; of other libraries, which name is meant. Comments,
    layout, docstrings, places in the file and the decorator's ``version=`` do not count. Files are read as they are
    now, so ask right after the import. docs/design.md tells what is not seen.

    A function made inside another counts with its closure and defaults. One without a source file (typed at a prompt)
    counts by its constants and names alone, helpers apart; only then the Python version may matter.

    Raises TypeError for a callable that is no Python function.
    """
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType):
        raise TypeError(f"a fingerprint needs a Python function, found {plain!r}")
    starts = list(_starts(plain))
    units: list[Unit] = []  # in the order of discovery: no path, line or module's name has a say in it
    said = _follow(starts, units)
    if any(unit.module.altered for unit in units):
        said += _follow(_registered(starts), units)
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _follow(starts: Iterable[Unit | str], units: list[Unit]) -> list[str]:
    """What the starts and all that they refer to say; ``units`` are those told before, and grows."""
    numbers = {unit: number for number, unit in enumerate(units)}

    def label(target: Unit | str) -> str:
        if isinstance(target, str):
            return target
        if target not in numbers:
            numbers[target] = len(units)
            units.append(target)
        return str(numbers[target])

    first = len(units)
    said = [label(start) for start in starts]
    for number, unit in enumerate(islice(units, first, None), first):  # which grows meanwhile
        said.append(f"unit {number}")
        for text, chains, _ in _sayings(unit):
            said.append(text)
            for chain in chains:
                targets = lookup(unit.module, chain)
                said += [f"{'.'.join(chain)} = {' '.join(map(label, targets))}"] if targets else []
    return said


def _registered(starts: Iterable[Unit | str]) -> list[Unit]:
    """What else fills the tables that a function reads: the entries of a registry, the cases of a single dispatch.

    A table that only a decorator needs (the registry that the function itself is put in, a cache) is not read by it.
    """
    reached = [start for start in starts if isinstance(start, Unit)]
    seen = set(reached)
    for unit in reached:  # which grows meanwhile
        for chain in (chain for _, _, chains in _sayings(unit) for chain in chains):
            units = [target for target in lookup(unit.module, chain) if isinstance(target, Unit)]
            named = [*units, Unit(unit.module, chain[0])]  # where it stands may alter what it imports
            units += [one._replace(altered=True) for one in named if one.name in one.module.altered]
            reached += [one for one in dict.fromkeys(units) if one not in seen]
            seen.update(units)
    return [unit for unit in reached if unit.altered]


class _Saying(NamedTuple):
    """What one statement says, the names that it refers to, and those among them that are not in its decorators."""

    text: str
    chains: list[Dotted]
    body: list[Dotted]


@lru_cache(maxsize=4096)
def _sayings(unit: Unit) -> list[_Saying]:
    """Kept, for many aggregations share their helpers."""
    said = []
    for node, free in unit.statements:
        _forget_version(node, unit.module)
        decorators = getattr(node, "decorator_list", ())
        body = [part for part in ast.iter_child_nodes(node) if part not in decorators]
        chains, within = ({chain for chain in _chains(*parts) if chain[0] in free} for parts in ([node], body))
        said.append(_Saying(_dump(node), sorted(chains), sorted(within)))
    return said


def _starts(function: FunctionType) -> Iterator[Unit | str]:
    """The module-level name that defines the function; and what only the live function can tell."""
    home = _home(function)
    yield home or _value(function)
    if home is None or "<locals>" in function.__qualname__:
        yield _value([function.__defaults__, *sorted((function.__kwdefaults__ or {}).items())])
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # still empty: the function asks from within its own decorator
                held = inspect.unwrap(cell.cell_contents)
                yield (_home(held) if isinstance(held, FunctionType) else None) or _value(held)


def _home(function: FunctionType) -> Unit | None:
    file, package = (function.__globals__.get(name) for name in ("__file__", "__package__"))
    module = read_module(file, package or "") if isinstance(file, str) else None
    name = function.__qualname__.partition(".")[0]
    return Unit(module, name) if module and name in module.names else None


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


def _forget_version(statement: ast.stmt, module: Module) -> None:
    """Drop ``version=`` from the aggregation's decorator: it is the answer to a change, and not itself one."""
    calls = [d for node in ast.walk(statement) for d in getattr(node, "decorator_list", ()) if isinstance(d, ast.Call)]
    for call in calls:
        if any(_AGGREGATION in lookup(module, chain) for chain in _chains(call.func)):
            call.keywords = [keyword for keyword in call.keywords if keyword.arg != "version"]


def _chains(*nodes: ast.AST) -> Iterator[Dotted]:
    """Every ``a.b.c`` that begins with a name."""
    rest = [*nodes]
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
