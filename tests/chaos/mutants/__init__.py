"""Every protection that can be taken away, by name: the campaigns' own switch. No normal run imports this."""

from __future__ import annotations

from tests.chaos.campaign import Mutant
from tests.chaos.mutants.deciding import DECIDING
from tests.chaos.mutants.locking import LOCKING
from tests.chaos.mutants.publishing import PUBLISHING

MUTANTS: dict[str, Mutant] = {**PUBLISHING, **LOCKING, **DECIDING}
