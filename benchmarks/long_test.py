"""`python -m benchmarks chaos test`: the tests that have a longer form, in that form."""

from __future__ import annotations

import os
import sys

import click
import pytest


@click.command("test")
def command() -> None:
    """Go on with writes, deadlocks, retries and hostile requests for as long as a proof takes."""
    os.environ["TEST_LONG"] = "1"
    sys.exit(pytest.main(["-n", "auto", "-m", "long"]))
