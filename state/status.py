"""The reasons to compute a result, and the statuses of those that are not computed.

docs/reference.md says what each means.
"""

from __future__ import annotations

from typing import Literal

Reason = Literal["forced", "corrupt", "lost", "new", "outdated", "changed"]
"""In the order in which they are asked: a result has the first that holds."""

Status = Literal["done", "empty", "ahead", "leased", "waiting", "missing", "orphaned", "retired"]

UP_TO_DATE: frozenset[Status] = frozenset({"done", "empty"})
"""A run has nothing to do."""
WITH_COMMIT: frozenset[Status] = UP_TO_DATE | {"ahead", "orphaned", "retired"}
"""There is a result to read, and no run will compute another one: what failed before is forgotten."""
