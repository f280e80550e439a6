"""What was tried to make Noonmark quicker and was left out: what, its effect, and why it was left."""

TRIED: tuple[tuple[str, str, str], ...] = ()
