"""Processes that are killed and machines that lose their power."""
