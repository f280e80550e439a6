"""What was tried to make Noonmark quicker and was left out: what, its effect, and why it was left."""

TRIED: tuple[tuple[str, str, str], ...] = (
    (
        "`syncfs` once a group instead of a flush of each file and folder",
        "0.07 to 0.19 ms a result against 0.16 to 0.95 ms of overlapped flushes, and 8 to 11 ms one after the other",
        "It waits for whatever else is being written to that file system, and its error names no file",
    ),
    (
        "One plan of polars over many days, for an aggregation that says it groups by day",
        "not measured again",
        "It changes what an aggregation is; a group's plans in one `collect_all` keep the cores busy already",
    ),
    (
        "polars' metadata reader for footers",
        "11 µs a footer against 41 µs of pyarrow's",
        "It gives no number of rows to hold the record against, and known footers are not read at all",
    ),
    (
        "`repair --deep` of results of 2 kB for 1.2 times their SHA-256",
        "18 µs a result for the look (8 of them open, read and hash), 7 µs for foreign files, 9 µs for the index",
        "What is left are a few calls of Python each; of a result of 2 MB they are a twentieth",
    ),
    (
        "`os._exit` at the end of a command",
        "0.05 s beyond what `gc.freeze` saves",
        "Prefect's own threads end at exit, and what they still have to send would be lost",
    ),
    (
        "`POLARS_ROW_GROUP_PREFETCH_SIZE` for the day of 50 million rows",
        "1,084 MB against 1,086 MB at a million groups, 353 MB against 396 MB at a hundred",
        "What grows is polars' own state of a group-by with very many groups, in a plain query too",
    ),
    (
        "Another group computes while a worker waits for its flushes",
        "1.54 ms a result against 1.53 ms, at two workers",
        "Flushes are so short by now that nothing is left to overlap",
    ),
    (
        "`openat2` in place of an `openat` for each folder of a path",
        "1.5 µs against 1.8 µs for two folders",
        "Python has no call for it, and by `ctypes` it gives nearly all back",
    ),
    (
        "A result's columns by Arrow's stream, and a cast of its texts, in place of one after the other",
        "52 µs against 35 µs for eight columns, two of them text",
        "Readers of Parquet do not know polars' views, and the cast costs more than the stream gains",
    ),
    (
        "Two processes in place of two threads",
        "3.2 s against 4.5 s for 2,526 small days, once both have started, which takes a second of each core",
        "Not yet: that results of a version have one schema, and which raw files are sound, is known within a process",
    ),
    (
        "No heartbeats of flow runs on a Prefect server that is configured",
        "up to a second of every run, for Prefect waits for the thread that sends them",
        "They are what an automation tells a crashed run by; on a temporary server nobody watches, and there are none",
    ),
)
