"""The simulated world: storage, locks, Redis, raw files, threads and the clock that they share."""
