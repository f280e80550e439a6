"""Your room: what is computed for each day, and from which raw files.

Every module here is read. An aggregation is a plain function from LazyFrames to a LazyFrame; see ``flights.py``.
"""
