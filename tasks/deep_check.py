"""The checks of ``repair --deep``: every byte of every result and every input, and every file among the results."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from state.errors import StorageError
from state.inputs.root import InputRoot
from state.store.base import Broken, Output, Store, Unread
from tasks.catalog.load import Catalog
from tasks.reading.edited import Edited, edited_inputs

log = logging.getLogger("noonmark")


@dataclass(frozen=True, slots=True)
class DeepCheck:
    """What only reading everything can find. ``renamed`` and ``foreign`` are paths below the output root.

    ``set_aside`` are damaged results, ``edited`` those whose input holds other bytes than it was computed from.
    ``renamed`` files of Noonmark's own had names that readers of ``**/*.parquet`` count; ``foreign`` files lie among
    the results and belong to somebody else. ``results`` is how many results were read, damaged ones too.
    """

    set_aside: tuple[Broken, ...] = ()
    edited: tuple[Edited, ...] = ()
    unreadable: tuple[Unread, ...] = ()
    renamed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    results: int = 0


def check_deep(
    catalog: Catalog, input_root: Path, root: Store, *, threads: int, dry_run: bool
) -> tuple[Output, DeepCheck]:
    """Check everything, and unless ``dry_run`` set aside what is damaged. Returns the output as it is then.

    Raises StorageError.
    """
    set_aside: list[Broken] = []
    unreadable: list[Unread] = []
    attempted = False

    def handle(one: Broken | Unread) -> None:
        nonlocal attempted
        if isinstance(one, Unread):
            unreadable.append(one)
        elif dry_run:
            set_aside.append(one)
        else:
            attempted = True
            try:
                if kept := root.set_aside_damaged((one.aggregation, one.day)):
                    set_aside.append(kept)
            except (StorageError, OSError) as error:
                why = f"{one.why}, and it cannot be set aside: {error}"
                unreadable.append(Unread(one.aggregation, one.day, why))

    output = root.scan_deep(threads, handle)
    results = sum(map(len, output.days.values()))
    if attempted:
        output = root.scan()  # a day was set aside, or another run has rebuilt it meanwhile
    with InputRoot(input_root) as opened:
        edited = list(edited_inputs(catalog, opened, output, threads))
    unreadable += [one for one in edited if isinstance(one, Unread)]
    return output, DeepCheck(
        tuple(set_aside),
        tuple(one for one in edited if isinstance(one, Edited)),
        tuple(unreadable),
        () if dry_run else tuple(_rename_own(root)),
        tuple(root.foreign_files(output)),
        results,
    )


def _rename_own(root: Store) -> list[str]:
    """Rename what readers would count below ``_noonmark/``. What cannot be renamed is reported as foreign."""
    try:
        return root.hide_own_files()
    except StorageError as error:
        log.warning("%s", error.message)
        return []
