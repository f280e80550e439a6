"""Finds what the user declared: imports the module or package of NOONMARK_AGGREGATIONS and collects it.

Everything wrong with it is said here, before anything is listed, computed or written.
"""

from __future__ import annotations

import importlib
import logging
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from state.errors import CHECK, ConfigurationError, DeclarationError, Interrupted, NoonmarkError, error_text
from tasks.catalog.declare import Aggregation, declared
from tasks.catalog.loosened import loosened
from tasks.user_code import exit_guard

_CORRECT = f"correct it, then: {CHECK}"
log = logging.getLogger("noonmark")

Catalog = Mapping[str, Aggregation]
"""The declared aggregations by name, in alphabetical order."""


def load(module: str, *, quiet: bool = False) -> Catalog:
    """The aggregations of a module, or of a package and all its modules. Logs what their sources loosen, unless quiet.

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
            f"NOONMARK_AGGREGATIONS={module} declares no aggregation; expected functions with @aggregation(source)",
            command=CHECK,
        )
    if not quiet:
        _warn(found.values())
    return dict(sorted(found.items()))


def _warn(aggregations: Iterable[Aggregation]) -> None:
    for source in dict.fromkeys(source for one in aggregations for source in one.sources.values()):
        for harm in loosened(source.options):
            _warn_once(f"{source} has {harm}")


@cache
def _warn_once(warning: str) -> None:
    """Log a warning of an import: a process imports a module once, though a command loads it for its flow again."""
    log.warning("%s", warning)


def _add(found: dict[str, Aggregation], one: Aggregation) -> None:
    for other in found.values():
        if other.name.lower() == one.name.lower() and other.function is not one.function:
            raise DeclarationError(
                f"two aggregations are called {one.name} ({one.place}) and {other.name} ({other.place}): "
                "their results would share a folder; expected names that differ by more than case",
                command=CHECK,
                hint=_CORRECT,
            )
    found[one.name] = one


def _modules(module: str) -> Iterator[ModuleType]:
    top = _import(module, module)
    yield top
    for folder in getattr(top, "__path__", ()):
        for name in _modules_below(Path(folder)):
            yield _import(f"{module}.{name}", module)


def _modules_below(folder: Path) -> Iterator[str]:
    """Every module of a package's folder, also in folders without ``__init__.py``: none is left out silently."""
    for entry in sorted(folder.iterdir()):
        if entry.suffix == ".py" and not entry.name.startswith("."):  # an editor's own files begin so
            if not entry.stem.isidentifier():
                raise ConfigurationError(
                    f"{entry} cannot be imported: {entry.stem!r} is not the name of a Python module; expected letters, "
                    "digits and underscores",
                    hint=f"rename it, or move it out of the folder, then: {CHECK}",
                )
            if entry.stem != "__init__":
                yield entry.stem
        elif entry.name.isidentifier() and entry.name != "__pycache__" and entry.is_dir():
            below = list(_modules_below(entry))
            yield from ([entry.name] if (entry / "__init__.py").exists() else [])
            yield from (f"{entry.name}.{name}" for name in below)


def _import(name: str, setting: str) -> ModuleType:
    try:
        with exit_guard(main_thread=True):
            return importlib.import_module(name)
    except DeclarationError as error:
        place = _place_of(error)
        # An aggregation's own errors name the place already; a source does not know where it stands.
        message = error.message if f"({place.partition(':')[0]}:" in error.message else f"{error.message} ({place})"
        raise DeclarationError(message, command=error.command or CHECK, hint=error.hint or _CORRECT) from None
    except (NoonmarkError, Interrupted):
        raise
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"NOONMARK_AGGREGATIONS={setting}: there is no module {error.name}; "
                "expected a Python module or package that can be imported from the project's folder",
                command=CHECK,
                hint=f"correct NOONMARK_AGGREGATIONS or PYTHONPATH, then: {CHECK}",
            ) from None
        raise ConfigurationError(
            f"NOONMARK_AGGREGATIONS={setting}: {name} needs {error.name}: {error} ({_place_of(error)})",
            command=CHECK,
            hint=f"pip install what it needs, then: {CHECK}",
        ) from error
    except BaseException as error:  # a module that leaves, or interrupts itself, is as wrong as one that raises
        if _is_prefects_end(error):
            raise
        place = "" if isinstance(error, SyntaxError) else f" ({_place_of(error)})"  # that one names its own line
        raise ConfigurationError(
            f"NOONMARK_AGGREGATIONS={setting}: {name} cannot be imported: {error_text(error)}{place}",
            command=CHECK,
            hint=_CORRECT,
        ) from error


def _is_prefects_end(error: BaseException) -> bool:
    """Whether Prefect raised it for a signal."""
    # Imported late: a child that computes results reads the catalog too, and needs no Prefect.
    from prefect.exceptions import TerminationSignal

    return isinstance(error, TerminationSignal)


def _place_of(error: BaseException) -> str:
    """The line of the innermost module that was being imported: as a rule the user's own."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.name == "<module>"]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "no line known"
