# /// script
# requires-python = ">=3.11"
# dependencies = ["dbt-duckdb==1.11.1", "dbt-core==1.11.16", "duckdb==2.0.0"]
# ///
"""dbt on DuckDB: an incremental model with the strategy microbatch, one day a batch. It computes what it is told to."""

import datetime as dt
import sys
from pathlib import Path

from dbt.cli.main import dbtRunner

INPUT, OUTPUT, THREADS = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
FIRST, LAST = (dt.date.fromisoformat(day) for day in sys.argv[4:6])

PROJECT = """
name: noon
version: "1.0"
profile: noon
model-paths: [models]
flags:
  send_anonymous_usage_stats: false
"""
PROFILES = f"""
noon:
  target: local
  outputs:
    local: {{type: duckdb, path: "{OUTPUT}/results.duckdb", schema: noon, threads: {THREADS}}}
"""
MODEL = f"""
{{{{ config(
    materialized="incremental",
    incremental_strategy="microbatch",
    event_time="day",
    batch_size="day",
    begin="{FIRST}",
    lookback=0
) }}}}
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
FROM read_parquet('{INPUT}/lineitem/{{{{ model.batch.event_time_start.date() if model.batch }}}}.parquet')
GROUP BY ALL
"""  # noqa: S608 the paths are given by who runs it

if __name__ == "__main__":
    project = OUTPUT / "project"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text(PROJECT)
    (project / "profiles.yml").write_text(PROFILES)
    (project / "models/by_status.sql").write_text(MODEL)
    until = LAST + dt.timedelta(days=1)
    told = ["run", "--project-dir", str(project), "--profiles-dir", str(project), "--quiet"]
    ended = dbtRunner().invoke([*told, "--event-time-start", str(FIRST), "--event-time-end", str(until)])
    sys.exit(not ended.success)
