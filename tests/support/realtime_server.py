"""A realtime server as a process, with the channels of the official SDK's suite.

python -m tests.support.realtime_server [redis://...]

Prints its port, and ends when its input does.
"""

from __future__ import annotations

import sys

from tests.support.realtime import open_server

if __name__ == "__main__":
    server, port = open_server(sys.argv[1] if len(sys.argv) > 1 else "")
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()
