"""Real processes: one load for all of them, and each reads what it has written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import redis

from strongback.testing.redis import RedisServer

ROOT = Path(__file__).resolve().parents[3]


def test_four_processes_load_once_and_read_their_writes(
    redis_server: RedisServer, is_long: bool
) -> None:
    seconds = "3" if is_long else "1"
    command = [sys.executable, "-m", "tests.support.cache_worker", redis_server.url, seconds]
    workers = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    outputs = [worker.communicate(timeout=240)[0] for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * 4
    assert [json.loads(output.splitlines()[-1])["violations"] for output in outputs] == [0] * 4
    with redis.Redis.from_url(redis_server.url) as server:
        assert server.get("loads:slow") == b"1"
