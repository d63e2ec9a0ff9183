"""`python -m benchmarks chaos realtime`: live messages while things are cut, killed and emptied.

The tests of realtime in their long form: 1,000 publications to a client that is cut 50 times, with
Redis killed in between, with and without its data; 1,000 connections that are cut at once; any
interleaving of publications and cuts, a hundred times as many as usual.
"""

from __future__ import annotations

import os
import sys

import click
import pytest

TESTS = (
    "tests/strongback/realtime",
    "tests/app/whole/test_live.py",
    "tests/app/whole/test_live_storm.py",
)


@click.command("realtime")
@click.option("--quick", is_flag=True, help="The short form, as make test-all has it.")
def command(quick: bool) -> None:  # noqa: FBT001  click calls it by name
    """Cut clients off, kill Redis and servers, and count what is lost or repeated."""
    if not quick:
        os.environ["TEST_LONG"] = "1"
    sys.exit(pytest.main(["-n", "2", *TESTS]))
