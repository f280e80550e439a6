"""Raw files and user code that change, vanish or fail under a run."""
