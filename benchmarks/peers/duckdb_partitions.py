# /// script
# requires-python = ">=3.11"
# dependencies = ["duckdb==2.0.0"]
# ///
"""DuckDB: one query over all days, and one partition for each. It remembers nothing, and no file appears whole."""

import datetime as dt
import sys
from pathlib import Path

import duckdb

INPUT, OUTPUT, THREADS = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
FIRST, LAST = (dt.date.fromisoformat(day) for day in sys.argv[4:6])

if __name__ == "__main__":
    days = [FIRST + dt.timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    files = [str(INPUT / "lineitem" / f"{day}.parquet") for day in days]
    OUTPUT.mkdir(parents=True)
    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute(
        f"""
        COPY (
            SELECT
                l_shipdate AS day,
                l_returnflag,
                l_linestatus,
                count(*) AS lines,
                sum(l_quantity) AS quantity,
                sum(l_extendedprice) AS price,
                sum(l_extendedprice * (1 - l_discount)) AS discounted_price,
                avg(l_quantity) AS quantity_mean,
                count(DISTINCT l_suppkey) AS suppliers
            FROM read_parquet($files)
            GROUP BY ALL
        ) TO '{OUTPUT / "by_status"}' (FORMAT parquet, PARTITION_BY (day))
        """,  # noqa: S608 COPY takes no parameter for its target
        {"files": files},
    )
