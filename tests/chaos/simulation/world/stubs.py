"""What stands in for settings, random numbers, dates and Prefect's task runner."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
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
    input=Path("in"),
    output=Path("out"),
    create_output=True,
    aggregations="simulated",
)
WITHOUT_REDIS: Any = SimpleNamespace(**vars(SETTINGS) | {"redis_url": SimpleNamespace(get_secret_value=lambda: "none")})


class HeldInput:
    """Stands in for the input root: the simulated input needs no descriptor."""

    path = SETTINGS.input
    fd = -1
    is_open = True

    def __init__(self, path: Path) -> None: ...

    def __enter__(self) -> HeldInput:
        return self

    def __exit__(self, *_: object) -> None: ...

    def of(self, *, absolute: bool) -> HeldInput:
        """Itself."""
        return self

    def check(self) -> None:
        """It is always there."""


class Nonces:
    """Stands in for the module ``uuid``: every number is new, and comes again in a replay."""

    def __init__(self) -> None:
        self.count = 0

    def uuid4(self) -> SimpleNamespace:
        """The next one."""
        self.count += 1
        return SimpleNamespace(hex=f"{self.count:08x}{0:024}")


class Runner:
    """Stands in for Prefect's task runner: a run computes its batches one after the other."""

    def __init__(self, **_: object) -> None: ...

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None: ...


def none_of(*_: object) -> tuple[()]:
    """Stands in for what would find nothing here."""
    return ()


def nothing(*_: object) -> None:
    """Stands in for what has nothing to do here."""


def declare(names: list[str], version: int) -> Any:
    """A catalog of these aggregations."""
    return {name: Declaration(name, version, {SOURCE: RAW}) for name in names}
