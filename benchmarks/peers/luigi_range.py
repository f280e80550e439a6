# /// script
# requires-python = ">=3.11"
# dependencies = ["luigi==3.8.1", "polars==2.1.0"]
# ///
"""Luigi: a task for each day, wanted by RangeDaily. Its target appears whole, and says that the day is done."""

import datetime as dt
import sys
from pathlib import Path

import luigi
import polars as pl
from luigi.tools.range import RangeDaily

INPUT, OUTPUT = Path(sys.argv[1]), Path(sys.argv[2])
FIRST, LAST = (dt.date.fromisoformat(day) for day in sys.argv[4:6])


class ByStatus(luigi.Task):
    """One day."""

    day = luigi.DateParameter()

    def output(self):
        """The day's file."""
        return luigi.LocalTarget(str(OUTPUT / "by_status" / f"day={self.day}" / "data.parquet"))

    def run(self):
        """Compute it."""
        discounted = pl.col("l_extendedprice").cast(pl.Decimal(15, 4)) * (1 - pl.col("l_discount"))
        result = (
            pl.scan_parquet(INPUT / "lineitem" / f"{self.day}.parquet")
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
        with self.output().temporary_path() as path:
            result.collect().write_parquet(path)


if __name__ == "__main__":
    wanted = RangeDaily(
        of=ByStatus, start=FIRST, stop=LAST + dt.timedelta(days=1), days_back=100_000, task_limit=100_000
    )
    # More workers fork a process for each task: two of them took twice as long.
    sys.exit(not luigi.build([wanted], local_scheduler=True, workers=1, log_level="WARNING"))
