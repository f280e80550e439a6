"""How long a run leaves days to those that lease them: for as long as they get on, and for one lifetime beyond.

Whatever a lease says, the wait for a day ends: the commit protocol is safe without any lease.
"""

from __future__ import annotations

from collections.abc import Mapping

from state.partition import Partition

_MOST_CHANGES = 20
"""How often a day that is waited for may become free or change hands before it is computed whatever its lease says."""
_LOOKS = 4
"""How many looks at least a holder has to get on. Between two of them the run may have computed for hours."""


class Patience:
    """The patience of one run, in the time that it waits. A holder is known by its token.

    One that was met, or that a day was seen to leave, is waited for so many ``seconds``.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looked: float | None = None
        self._waited = 0.0
        self._got_on: dict[int, float] = {}
        self._seen: dict[Partition, list[int | None]] = {}

    def look(self, now: float, holders: Mapping[Partition, bytes | None]) -> None:
        """Go on waiting for these days; None: nobody holds it."""
        since = 0.0 if self._looked is None else now - self._looked
        self._waited += min(since, self._seconds / _LOOKS)
        self._looked = now
        for place, token in holders.items():
            holder = None if token is None else hash(token)
            seen = self._seen.setdefault(place, [])
            if len(seen) == 1 and seen[0] not in (None, holder):
                self._got_on[seen[0]] = self._waited  # once a day: a lease that comes and goes is no progress
            if holder is None or seen[-1:] != [holder]:
                seen.append(holder)
            if holder is not None:
                self._got_on.setdefault(holder, self._waited)

    def lasts(self, place: Partition, token: bytes) -> bool:
        """Whether a day is left to who holds it now."""
        got_on = self._got_on.get(hash(token))
        return not self.is_over(place) and (got_on is None or self._waited - got_on < self._seconds)

    def is_over(self, place: Partition) -> bool:
        """Whether nothing that is said of a day's lease is waited for any more."""
        return len(self._seen.get(place, ())) > _MOST_CHANGES
