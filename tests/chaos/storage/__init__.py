"""File systems that fail, fill up or are unmounted under a run."""
