"""Reads everything that a plan depends on, in the order that makes the answer safe, and plans.

The index is read before the output is scanned: an entry that changed in between is then never set back. Nothing is
written here.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from state.acceptance import Accepted
from state.days import order
from state.errors import ACCEPT, CHECK, ConfigurationError, Refused, StorageError
from state.index.best_effort import BestEffortIndex
from state.index.index import IndexSnapshot
from state.inputs.files import DayFiles, has_large
from state.inputs.root import InputRoot
from state.planner import fewer_files as fewer
from state.planner.current import Declared
from state.planner.decide import Facts
from state.planner.plan import Plan, Selection, known_days, plan
from state.result.classify import commits
from state.store.accepted import read_accepted
from state.store.base import Output, Store
from state.store.digest_cache import DigestCache
from state.store.failures import read_failures
from state.threads import map_in_threads
from tasks import older_results as older
from tasks.catalog.load import Catalog
from tasks.catalog.source import Reference, Source
from tasks.inputs.broken_links import hidden_days
from tasks.inputs.expired import expired_days
from tasks.inputs.listing import Listing, list_source
from tasks.inputs.reach import reached
from tasks.inputs.strays import Stray
from tasks.inputs.unmatched import why_unmatched
from tasks.inputs.waiting import ready
from tasks.planning import planned, sources_by_key
from tasks.reading.day_input import contents_digest
from tasks.reading.references import list_reference

log = logging.getLogger("noonmark")


@dataclass(frozen=True, slots=True)
class Survey:
    """A plan, what was read of the index before it, what the output held, and which accepted entries no longer apply.

    ``broken`` has the paths of the broken links that each source was listed without, ``strays`` what looks like input
    of it and is none. ``unmatched`` says of each source that no file matches where its template stops matching, unless
    its absence was accepted. ``digests`` are those that were known or learned of inputs; who may write saves them for
    the next run.
    """

    plan: Plan
    remembered: Mapping[str, IndexSnapshot]
    output: Output
    outdated: Accepted
    broken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmatched: Mapping[str, str] = field(default_factory=dict)
    digests: DigestCache | None = None
    strays: Mapping[str, tuple[Stray, ...]] = field(default_factory=dict)


def survey(
    catalog: Catalog,
    input_root: InputRoot,
    root: Store | None,
    index: BestEffortIndex,
    selection: Selection,
    threads: int,
) -> Survey:
    """Read index, output and input, and plan.

    ``root`` is None where there is no output yet. ``threads`` files are digested at once, where times settle nothing.
    Raises StorageError where something cannot be listed, Refused where a source with commits matches no file at all or
    many days would be computed from fewer files than before, ConfigurationError where there is no input root, or where
    no known day is selected.
    """
    asked = {name: one for name, one in catalog.items() if not selection.only or name in selection.only}
    declared, sources = planned(asked), sources_by_key(asked)
    # Before the scan: what changes in the index in between is never set back.
    remembered = index.read(sorted({*catalog, *(root.aggregations() if root else ())}))
    output = root.scan() if root else Output()
    listings = listed(sources, input_root)
    accepted = read_accepted(root) if root else Accepted()
    for name, one, committed in vanished_sources(declared, listings, output):
        if name not in accepted.empty_sources:
            place = why_unmatched(input_root, sources[name][0].template)
            raise Refused(
                f"the input looks unmounted, moved or wrong: no file matches source {name!r}, of which {one.name} has "
                f"{committed} committed days; {place}",
                command=ACCEPT,
                hint="mount it, or correct NOONMARK_INPUT or the template; "
                f"if the raw files are gone for good: {ACCEPT}",
            )
    if not input_root.is_open:
        require_input(asked, input_root.path, accepted.empty_sources)
    for name, listing in listings.items():
        _warn(name, listing)

    days = {name: one.days() for name, one in remembered.items()}
    facts = listed_facts(declared, sources, listings, output, days)
    digests = None
    if root:
        published = older.published(declared, facts, selection, accepted, root, threads)
        facts = replace(facts, failures=read_failures(root), published=published)
    _require_known_day(declared, facts, selection)
    made = plan(declared, facts, selection)
    if made.unread:
        digests = DigestCache(root) if root else None
        facts = _with_contents(sorted(made.unread), facts, sources, input_root, digests, threads)
        made = plan(declared, facts, selection)
    if why := fewer.refusal(declared, facts, made, accepted):
        raise Refused(
            f"{why}; below {input_root.path} a part of the input looks unmounted, moved or deleted",
            command=ACCEPT,
            hint=f"mount it or correct NOONMARK_INPUT; if these are all the files that there are: {ACCEPT}",
        )
    outdated = _outdated(declared, listings, facts, accepted, selection)
    broken = {name: tuple(link.path for link in one.broken) for name, one in listings.items() if one.broken}
    unmatched = {}
    for name in (name for name, listing in listings.items() if listing.is_empty):
        why = why_unmatched(input_root, sources[name][0].template)
        if name in accepted.empty_sources:
            log.warning("source %r: still no file, as was accepted with --accept-output: %s", name, why)
        else:
            unmatched[name] = why
    strays = {name: listing.strays for name, listing in listings.items() if listing.strays}
    return Survey(made, remembered, output, outdated, broken, unmatched, digests, strays)


def _require_known_day(declared: Sequence[Declared], facts: Facts, selection: Selection) -> None:
    """Raise ConfigurationError where nothing is known of any selected day; a range without one is only logged."""
    known = known_days(declared, facts) if selection.days else ()
    if not known:
        return
    idle = [asked for asked in selection.days if not any(day in asked for day in known)]
    first, last = min(known, key=order), max(known, key=order)
    text = ",".join(map(str, idle))
    told = f"--days {text} has no day with input or a result; there are {len(known):,}, {first} to {last}"
    if len(idle) == len(selection.days):
        raise ConfigurationError(told, command=CHECK)
    if idle:
        log.warning("%s", told)


def _outdated(
    declared: Sequence[Declared],
    listings: Mapping[str, Listing],
    facts: Facts,
    accepted: Accepted,
    selection: Selection,
) -> Accepted:
    """Which accepted entries no longer apply."""
    empty = accepted.empty_sources & {name for name, listing in listings.items() if listing.days}
    if selection.only:  # nothing is known of the other aggregations
        return Accepted(empty)
    return Accepted(empty, fewer.expired(declared, facts, accepted), older.expired(declared, facts, accepted))


def listed(sources: Mapping[str, Sequence[Source]], input_root: InputRoot) -> dict[str, Listing]:
    """A listing of each source, by its key. Raises StorageError."""
    return {name: _listing(alike[0], input_root) for name, alike in sources.items()}


def _listing(source: Source, input_root: InputRoot) -> Listing:
    if isinstance(source, Reference):
        return list_reference(input_root, source.template)
    return reached(ready(input_root, source, list_source(input_root, source.template)), source)


def listed_facts(
    declared: Sequence[Declared],
    sources: Mapping[str, Sequence[Source]],
    listings: Mapping[str, Listing],
    output: Output,
    index: Mapping[str, Collection[str]],
) -> Facts:
    """What listings, a scan and the days in the ``index`` say of every day, without reading any input."""
    facts = Facts(
        inputs={name: one.days for name, one in listings.items()},
        unreadable={name: one.unreadable for name, one in listings.items()},
        output=output.days,
        index=index,
        unreachable=output.blocked,
        waiting={name: one.waiting for name, one in listings.items() if one.waiting},
        absent={name: one.absent for name, one in listings.items() if one.absent},
    )
    for name, listing in listings.items():
        if listing.broken:
            source = sources[name][0]
            hidden = hidden_days(listing.broken, source.template, name, declared, facts, source.file_days)
            facts = _without(facts, name, hidden)
    expired = dict(one for name in facts.absent for one in expired_days(sources[name][0], declared, facts))
    return replace(facts, expired=expired) if expired else facts


def _without(facts: Facts, source: str, hidden: Mapping[str, str]) -> Facts:
    """The facts with some days of a source unreadable."""
    known = {day: files for day, files in facts.inputs[source].items() if day not in hidden}
    unreadable = {**facts.unreadable.get(source, {}), **hidden}
    return replace(facts, inputs={**facts.inputs, source: known}, unreadable={**facts.unreadable, source: unreadable})


def _with_contents(
    unknown: list[tuple[str, str]],
    facts: Facts,
    sources: Mapping[str, Sequence[Source]],
    input_root: InputRoot,
    digests: DigestCache | None,
    threads: int,
) -> Facts:
    def digest(source: Source, day: str, files: DayFiles, *, by_sha256: bool) -> str | None:
        key = f"{source.digest_key}\nby SHA-256" if by_sha256 else source.digest_key
        found = digests.known(key, day, files) if digests else None
        if found is None:
            found = contents_digest(source, input_root, files, by_sha256=by_sha256)
            if found and digests:
                digests.learn(key, day, files, found)
        return found

    def read(one: tuple[str, str]) -> frozenset[str] | StorageError:
        name, day = one
        try:
            files = facts.inputs[name][day]
            kinds = (False, True) if has_large(files.files) else (False,)  # a commit may have either
            found = {digest(one, day, files, by_sha256=kind) for one in sources[name] for kind in kinds}
            # What changes at this moment has no digest: the day is planned, and checked again when it is computed.
            return frozenset(one for one in found if one)
        except StorageError as error:
            return error

    contents = {}
    unreadable = {name: dict(days) for name, days in facts.unreadable.items()}
    for (name, day), answer in zip(unknown, map_in_threads(read, unknown, threads), strict=True):
        if isinstance(answer, StorageError):
            unreadable[name][day] = answer.message
        else:
            contents[name, day] = answer
    return replace(facts, contents=contents, unreadable=unreadable)


def vanished_sources(
    declared: Sequence[Declared], listings: Mapping[str, Listing], output: Output
) -> Iterator[tuple[str, Declared, int]]:
    """The sources that match no file at all, each with an aggregation that has commits of it and how many."""
    empty = {name for name, listing in listings.items() if listing.is_empty}
    for one in declared if empty else ():
        if committed := len(commits(output.days.get(one.name, {}))):
            yield from ((name, one, committed) for name in empty.intersection(one.sources.values()))


def require_input(catalog: Catalog, input_root: Path, accepted: Collection[str] = ()) -> None:
    """Raise ConfigurationError where a source needs the input root, and there is none.

    ``accepted`` sources are known to be gone. Where commits came from the input root, its absence was refused before.
    """
    sources = [source for one in catalog.values() for source in one.sources.values()]
    if all(source.template.absolute or source.key in accepted for source in sources):
        return
    try:
        if stat.S_ISDIR(os.stat(input_root).st_mode):
            return
        found = "is a file"
    except (FileNotFoundError, NotADirectoryError):
        found = "does not exist"
    except OSError as error:
        raise StorageError(f"the input root {input_root} cannot be opened: {error.strerror}") from error
    raise ConfigurationError(
        f"the input root {input_root} {found}; expected the folder that holds the raw files",
        hint="set NOONMARK_INPUT to that folder, or create it",
    )


def _warn(name: str, listing: Listing) -> None:
    for link in listing.broken:
        log.warning("source %r: %s is a broken link, and the files behind it are not seen", name, link.path)
