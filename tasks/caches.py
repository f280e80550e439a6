"""Keeps what a run learned for the next one, which does the work again where that is lost."""

from __future__ import annotations

import logging
from typing import Protocol

log = logging.getLogger("noonmark")


class Cache(Protocol):
    """What one run learned."""

    def save(self) -> None:
        """Keep it. Raises StorageError, OSError."""


def keep(learned: Cache | None, of: str) -> None:
    """Save what was learned ``of`` results or inputs, if anything was. Where that fails, a warning says so."""
    try:
        if learned:
            learned.save()
    except OSError as error:
        log.warning("what was read of the %s cannot be kept, so the next run reads it again: %s", of, error)
