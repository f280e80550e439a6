"""All benchmarks, in the order in which they run and stand in the page."""

from __future__ import annotations

from benchmarks.beside_peers import peers
from benchmarks.figures import Benchmark
from benchmarks.huge_day import huge
from benchmarks.layouts import layouts
from benchmarks.many_days import days, flights, functions
from benchmarks.nothing import nothing_to_do
from benchmarks.redis_use import redis_use
from benchmarks.repairs import repair
from benchmarks.strict import strict

ENTRIES = (
    Benchmark("days", "What does a small day cost, beside a plain polars loop?", days),
    Benchmark("flights", "And a day of real text?", flights),
    Benchmark("functions", "And where a function of the user's reads it?", functions),
    Benchmark("strict", "What does it cost to check a file before it is read?", strict),
    Benchmark("layouts", "Does it matter in which folders the days lie?", layouts),
    Benchmark("peers", "What does a small day cost in other tools?", peers),
    Benchmark("nothing", "What does a run cost that finds nothing to do, or one late day?", nothing_to_do),
    Benchmark("repair", "What does it cost to rebuild a lost index, and to look at every byte?", repair),
    Benchmark("huge", "Does memory grow with a day?", huge),
    Benchmark("memory", "What does the index take of Redis?", redis_use),
)
