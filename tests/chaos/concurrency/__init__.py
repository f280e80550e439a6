"""Several runs over one output at the same time."""
