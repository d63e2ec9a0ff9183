"""Exit with 0 if this container's server can do its work: what Docker asks, every few seconds.

`/readyz` says so. Only the standard library is imported, and little of it: the check itself
should cost next to nothing.
"""

import os
import socket
import sys

TIMEOUT = 5


def main() -> int:
    """Ask the server in this container, and say what it answered."""
    address = ("127.0.0.1", int(os.environ.get("WEB_PORT", "8000")))
    try:
        with socket.create_connection(address, TIMEOUT) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError as error:
        sys.stdout.write(f"no answer: {error}\n")
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    sys.stdout.write(body.decode(errors="replace") + "\n")
    return 0 if head.split(b" ", 2)[1] == b"200" else 1


if __name__ == "__main__":
    sys.exit(main())
