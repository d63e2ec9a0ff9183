"""Runs Python where the application is imported already: imports are most of what a start costs.

`command()` goes before the arguments that Python would have. As a program this file is either end
of a socket: with modules it imports them and forks a process for each client, and with arguments
it is a client, which lends that process its streams, hands on signals and ends as it does.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType

HANDED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@cache
def command(source: Path, *modules: str) -> list[str]:
    """What runs Python with the modules of this source.

    Args:
        source: Folder of the code. It is imported once, so let it be complete.
        modules: Names of modules to import beforehand.
    """
    folder = tempfile.TemporaryDirectory(prefix="forked")
    listener = socket.socket(socket.AF_UNIX)
    address = f"{folder.name}/socket"
    listener.bind(address)
    listener.listen()
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, str(listener.fileno()), *modules],
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(source)},
        stdin=subprocess.PIPE,  # it ends with this process
        pass_fds=[listener.fileno()],
    )
    listener.close()

    def end() -> None:
        process.communicate()
        folder.cleanup()

    atexit.register(end)
    return [sys.executable, "-IS", __file__, address]


def serve(listener: socket.socket, modules: list[str]) -> None:
    """Fork a process for each client; returns in it, and when nobody can ask any longer."""
    for module in modules:
        import_module(module)
    gc.freeze()
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            attend(connection)
            return
        connection.close()
        reap()
    reap()


def reap() -> None:
    """Note the ends of processes, with the time that they took."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def attend(connection: socket.socket) -> None:
    """Run what a client asks for in a process, and tell the client how it ended."""
    request, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not request.endswith(b"\n"):
        request += connection.recv(2**16)
    if not (child := os.fork()):
        connection.close()
        run(streams, *json.loads(request))
        return
    threading.Thread(target=pass_signals, args=(connection, child), daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(str(status).encode())
    os._exit(0)


def pass_signals(connection: socket.socket, child: int) -> None:
    """Pass on the client's signals to a process, which does not outlive it."""
    with suppress(ProcessLookupError):  # it has ended just now
        while number := connection.recv(1):
            os.kill(child, number[0])
        os.kill(child, signal.SIGKILL)


def run(streams: list[int], arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Go on as Python does with these arguments."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # It says that a module of that name has been imported, which is what this is for.
    warnings.filterwarnings("ignore", module="runpy", category=RuntimeWarning)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def ask(address: str, arguments: list[str]) -> int:
    """Have a process forked, and return its status."""

    def pass_on(number: int, _: FrameType | None) -> None:
        connection.sendall(bytes([number]))

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        request = json.dumps([arguments, dict(os.environ), str(Path.cwd())]) + "\n"
        socket.send_fds(connection, [request.encode()], [0, 1, 2])
        for number in HANDED_ON:
            signal.signal(number, pass_on)
        status = int(connection.recv(16))
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    if sys.argv[1].isdigit():
        serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    else:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
