"""A real Centrifugo, where there is one: `centrifugo` on the PATH, or `CENTRIFUGO_BIN`.

It is no package: `go install github.com/centrifugal/centrifugo/v6@v6.9.1` builds it, as the
workflow does. Without it the contract of brokers has no such third, and the header of the test run
says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from strongback.testing.port import free_port

# Read at import: later on the tests see nothing of the developer's own environment.
BINARY = os.environ.get("CENTRIFUGO_BIN") or shutil.which("centrifugo")
HEADER = (
    f"realtime engines: ours, and Centrifugo ({BINARY})"
    if BINARY
    else "realtime engines: ours alone, since no centrifugo is on the PATH or in CENTRIFUGO_BIN"
)
KEY = "key of the API in tests"
START_TIMEOUT = 20


@contextmanager
def run_centrifugo(
    folder: Path, configuration: dict[str, Any], port: int | None = None
) -> Iterator[str]:
    """Start it with a configuration, on a free port unless one is given; gives its address."""
    assert BINARY is not None
    port = port or free_port()
    server = {"address": "127.0.0.1", "port": str(port)}
    path = folder / "config.json"
    path.write_text(json.dumps(configuration | {"http_server": server}))
    with (folder / "centrifugo.log").open("wb") as log:
        process = subprocess.Popen([BINARY, "--config", path], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, folder / "centrifugo.log")
        yield url
    finally:
        process.terminate()
        process.wait(START_TIMEOUT)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):  # noqa: S310  our own
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
