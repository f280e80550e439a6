"""Finds what the user declared: imports the module or package of NOONMARK_AGGREGATIONS and collects it.

Everything wrong with it is said here, before anything is listed, computed or written.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType

from state.errors import ConfigurationError, DeclarationError, NoonmarkError
from state.verdict import Declared
from tasks.catalog import Aggregation, Source, declared

Catalog = Mapping[str, Aggregation]
"""The declared aggregations by name, in alphabetical order."""


def load(module: str) -> Catalog:
    """The aggregations of a module, or of a package and all its modules.

    Raises ConfigurationError where it cannot be imported or declares nothing, DeclarationError where it contradicts
    itself.
    """
    found: dict[str, Aggregation] = {}
    for part in _modules(module):
        for value in vars(part).values():
            if one := declared(value):
                _add(found, one)
    if not found:
        raise ConfigurationError(
            f"NOONMARK_AGGREGATIONS={module} declares no aggregation; expected functions with @aggregation(source)"
        )
    return dict(sorted(found.items()))


def to_plan(catalog: Catalog) -> list[Declared]:
    """The catalog as the planner sees it. A source's key is its template: two that list alike are listed once."""
    return [
        Declared(one.name, one.version, one.code, {name: key(source) for name, source in one.sources.items()})
        for one in catalog.values()
    ]


def key(source: Source) -> str:
    """What the planner calls a source."""
    return source.template.text


def _add(found: dict[str, Aggregation], one: Aggregation) -> None:
    for other in found.values():
        if other.name.lower() == one.name.lower() and other.function is not one.function:
            raise DeclarationError(
                f"two aggregations are called {one.name} ({one.place}) and {other.name} ({other.place}): "
                "their results would share a folder; expected names that differ by more than case"
            )
    found[one.name] = one


def _modules(module: str) -> Iterator[ModuleType]:
    top = _import(module, module)
    yield top
    for info in pkgutil.walk_packages(getattr(top, "__path__", ()), f"{module}."):
        yield _import(info.name, module)


def _import(name: str, setting: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except NoonmarkError:
        raise
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"NOONMARK_AGGREGATIONS={setting}: there is no module {error.name}; "
                "expected a Python module or package that can be imported from the project's folder"
            ) from None
        raise ConfigurationError(f"NOONMARK_AGGREGATIONS={setting}: {name} needs {error.name}: {error}") from error
    except Exception as error:
        raise ConfigurationError(
            f"NOONMARK_AGGREGATIONS={setting}: {name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
