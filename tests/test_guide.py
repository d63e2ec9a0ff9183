from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from app.core.config import ROOT
from tests.support.nginx import run_server

EXAMPLE = re.compile(r"```sh\n(.*?)```\n\n```http\n(.*?)```", re.DOTALL)
CURL = shutil.which("curl")


@pytest.mark.parametrize("guide", ["write.md", "write.zh.md"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("starts_processes")
def test_examples_of_the_writing_guide_answer_what_it_says(own_api, guide):
    """Each command runs, in order, and the headers that are shown are in its answer."""
    if CURL is None:
        pytest.skip("curl is not installed: the guide's examples did not run")
    examples = EXAMPLE.findall((ROOT / "docs" / "guide" / guide).read_text())
    assert len(examples) == 5
    with run_server(own_api.app) as port:
        environment = os.environ | {"API": f"http://127.0.0.1:{port}/api/v1", "TOKEN": "ada"}
        for command, answer in examples:
            shell = ["sh", "-c", command]
            run = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
            head = run.stdout.partition("\n\n")[0].splitlines()
            status, *headers = answer.splitlines()
            assert head[0].split()[1:] == status.split()[1:]
            assert set(map(str.strip, headers)) <= set(map(str.strip, head))
