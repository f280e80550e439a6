"""Redis servers that fail, forget, lie or are no Redis at all."""
