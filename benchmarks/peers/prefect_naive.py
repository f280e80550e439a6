# /// script
# requires-python = ">=3.11"
# dependencies = ["prefect==3.8.8", "fastapi==0.150.0", "sqlalchemy==2.0.58", "polars==2.1.0"]
# ///
"""Prefect as one begins with it: a task for each day, in threads, that writes its file where it belongs."""

import datetime as dt
import sys
from pathlib import Path

import polars as pl
from prefect import flow, task
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

INPUT, OUTPUT, THREADS = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
FIRST, LAST = (dt.date.fromisoformat(day) for day in sys.argv[4:6])


@task(task_run_name="{day}")
def by_status(day: dt.date) -> None:
    """One day."""
    discounted = pl.col("l_extendedprice").cast(pl.Decimal(15, 4)) * (1 - pl.col("l_discount"))
    result = (
        pl.scan_parquet(INPUT / "lineitem" / f"{day}.parquet")
        .group_by("l_returnflag", "l_linestatus")
        .agg(
            lines=pl.len(),
            quantity=pl.col("l_quantity").sum(),
            price=pl.col("l_extendedprice").sum(),
            discounted_price=discounted.sum(),
            quantity_mean=pl.col("l_quantity").mean(),
            suppliers=pl.col("l_suppkey").n_unique(),
        )
        .sort("l_returnflag", "l_linestatus")
    )
    folder = OUTPUT / "by_status" / f"day={day}"
    folder.mkdir(parents=True, exist_ok=True)
    result.collect().write_parquet(folder / "data.parquet")


@flow(task_runner=ThreadPoolTaskRunner(max_workers=THREADS))
def daily() -> None:
    """All days."""
    days = (FIRST + dt.timedelta(days=n) for n in range((LAST - FIRST).days + 1))
    done = wait([by_status.submit(day) for day in days]).done
    for future in done:
        future.result()


if __name__ == "__main__":
    daily()
