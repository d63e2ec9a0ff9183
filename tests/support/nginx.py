"""Nginx in front of the application, as a deployment has it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from flask import Flask
from werkzeug.serving import make_server

from strongback.testing.mariadb import SEARCH_PATH
from strongback.testing.port import free_port

START_TIMEOUT = 60
CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    gzip_types application/json;
    gzip_min_length 1;
    gzip_proxied any;
    server {{
        listen 127.0.0.1:{port} backlog=512;
        location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; }}
    }}
}}
"""


def find_nginx() -> str | None:
    """Return the binary, or `None` where it is not installed."""
    return shutil.which("nginx", path=SEARCH_PATH)


@contextmanager
def run_nginx(folder: Path, upstream: int) -> Iterator[str]:
    """Start Nginx with gzip on before a server on the upstream port; gives its address."""
    binary = find_nginx()
    assert binary is not None
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(user=user, folder=folder, port=port, upstream=upstream)
    )
    command = [binary, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    process = subprocess.Popen(command)
    try:
        wait_for_nginx(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_TIMEOUT)


@contextmanager
def run_server(app: Flask) -> Iterator[int]:
    """Serve the application from threads of this process; gives the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_for_nginx(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until it listens."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("Nginx did not start")
