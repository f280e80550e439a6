"""The least that Prefect takes: a flow that does nothing, in the same folder and with the same settings."""

from __future__ import annotations

from prefect import flow


@flow(name="empty")
def empty() -> None:
    """Nothing."""


if __name__ == "__main__":
    empty()
