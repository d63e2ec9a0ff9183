from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from strongback.cli.command import explain_errors
from strongback.exceptions import ConfigurationError


@pytest.fixture
def group() -> click.Group:
    """A group of one command, as a module has it for every application of the process."""

    @click.group
    def tools() -> None:
        pass

    @tools.command
    def fail() -> None:
        raise ConfigurationError("Set APP_URL")

    return tools


def test_an_error_with_a_remedy_is_one_line(group):
    explain_errors(group)
    result = CliRunner().invoke(group, ["fail"])
    assert (result.exit_code, result.output) == (1, "Error: Set APP_URL\n")


def test_a_command_of_many_applications_is_wrapped_once(group):
    """Otherwise each application of a process made its calls one level deeper."""
    for _ in range(2000):
        explain_errors(group)
    result = CliRunner().invoke(group, ["fail"])
    assert (result.exit_code, result.output) == (1, "Error: Set APP_URL\n")
