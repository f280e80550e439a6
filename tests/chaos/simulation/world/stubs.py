"""What stands in for settings, random numbers, dates and Prefect's task runner."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.chaos.simulation.world.inputs import SOURCE, Source
from tests.chaos.simulation.world.results import Declaration

LEASE_SECONDS = 60
ROOT_ID = "simulated"
RAW = Source()
WITH_REDIS = "redis://simulated"
SETTINGS: Any = SimpleNamespace(
    redis_url=SimpleNamespace(get_secret_value=lambda: WITH_REDIS),
    namespace="noonmark",
    lease_seconds=LEASE_SECONDS,
    workers=1,
    input=Path("/"),  # a real folder, in which nothing is read
    output=Path("out"),
    create_output=True,
    aggregations="simulated",
)
WITHOUT_REDIS: Any = SimpleNamespace(**vars(SETTINGS) | {"redis_url": SimpleNamespace(get_secret_value=lambda: "none")})


class Nonces:
    """Stands in for the module ``uuid``: every number is new, and comes again in a replay."""

    def __init__(self) -> None:
        self.count = 0

    def uuid4(self) -> SimpleNamespace:
        """The next one."""
        self.count += 1
        return SimpleNamespace(hex=f"{self.count:08x}{0:024}")


class Runner:
    """Stands in for Prefect's task runner: a batch is computed when its outcomes are asked for."""

    def __init__(self, **_: object) -> None: ...

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, task: Any, parameters: Mapping[str, Any]) -> Batch:
        """As ``TaskRunner.submit``. No batch is isolated: another process would be in the real world."""
        plain = {name: getattr(one, "value", one) for name, one in parameters.items()}
        return Batch(partial(task.fn, **plain | {"isolated": False}))


class Batch:
    """Stands in for Prefect's future."""

    def __init__(self, compute: Callable[[], object]) -> None:
        self._compute = compute

    def result(self, **_: object) -> object:
        """What the task returns or raises."""
        try:
            return self._compute()
        except Exception as error:  # noqa: BLE001 as the real one does
            return error


def standing_in(package: str, **modules: object) -> dict[str, object]:
    """Stand-ins for modules of the standard library, wherever a module of a package has imported them."""
    return {
        f"{name}.{imported}": stand_in
        for name, module in sorted(sys.modules.items())
        if name.startswith(f"{package}.")
        for imported, stand_in in modules.items()
        if isinstance(getattr(module, imported, None), ModuleType)
    }


def none_of(*_: object) -> tuple[()]:
    """Stands in for what would find nothing here."""
    return ()


def nothing(*_: object) -> None:
    """Stands in for what has nothing to do here."""


def declare(names: list[str], version: int) -> Any:
    """A catalog of these aggregations."""
    return {name: Declaration(name, version, {SOURCE: RAW}) for name in names}
