"""What every command does alike, below what a whole run shows."""

from __future__ import annotations

import pytest
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.command import _without_heartbeats


@pytest.mark.parametrize("api_url", [None, "http://127.0.0.1:1/api"])
def test_a_server_that_stays_hears_that_a_run_is_alive(api_url: str | None) -> None:
    """An automation tells a crashed run by its silence. On a temporary server nobody listens, so none is sent."""
    with temporary_settings({PREFECT_API_URL: api_url}):
        usual = get_current_settings().flows.heartbeat_frequency
        assert usual
        with _without_heartbeats():
            assert get_current_settings().flows.heartbeat_frequency == (usual if api_url else None)
