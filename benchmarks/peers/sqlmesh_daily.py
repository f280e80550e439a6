# /// script
# requires-python = ">=3.11"
# dependencies = ["sqlmesh==0.236.4", "duckdb==1.5.6"]
# ///
"""SQLMesh on DuckDB: a model that is incremental by time range, one day a batch. Its state remembers the intervals."""

import datetime as dt
import sys
from pathlib import Path

from sqlmesh import Context
from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig

INPUT, OUTPUT = Path(sys.argv[1]), Path(sys.argv[2])
FIRST, LAST = (dt.date.fromisoformat(day) for day in sys.argv[4:6])

MODEL = f"""
MODEL (
    name noon.by_status,
    kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1),
    start '{FIRST}',
    end '{LAST}',
    cron '@daily'
);

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
FROM read_parquet('{INPUT}/lineitem/' || @IF(@runtime_stage = 'evaluating', @start_ds, '{FIRST}') || '.parquet')
WHERE l_shipdate BETWEEN @start_date AND @end_date
GROUP BY l_shipdate, l_returnflag, l_linestatus
"""  # noqa: S608 the paths are given by who runs it

if __name__ == "__main__":
    models = OUTPUT / "project/models"
    models.mkdir(parents=True)
    (models / "by_status.sql").write_text(MODEL)
    database = DuckDBConnectionConfig(database=str(OUTPUT / "results.duckdb"))
    config = Config(
        gateways={"local": GatewayConfig(connection=database)},
        model_defaults=ModelDefaultsConfig(dialect="duckdb"),
        disable_anonymized_analytics=True,
    )
    context = Context(paths=models.parent, config=config)
    context.plan(auto_apply=True, no_prompts=True)
