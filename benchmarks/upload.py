"""`python -m benchmarks chaos upload`: uploads through Nginx, and what the API feels of them.

Nginx with our configuration, one process for the API and one for uploads, as `compose.yaml` has
them. A hundred clients each send 20 MB at once, a fifth of them slowly; meanwhile somebody reads
articles. Ends with 1 where an upload is lost or differs, where the API takes 300 ms or more for one
request in a hundred, or a server takes 100 MB more memory than before.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click

from app.core.permission import Role
from strongback.testing.port import free_port
from tests.app.whole.test_files import Person
from tests.live import LiveServer, create_user, serving
from tests.support.front import run_front
from tests.support.load import Ask, under_load

CLIENTS = 100
SIZE = 20_000_000
SLOW = 5
"""Every so manieth client is slow."""
PIECE = 1 << 16
LIMIT = 0.3
MEMORY = 100 << 20
TIMEOUT = 600
CREATED = 201
BOUNDARY = "upload-benchmark"


@dataclass
class Uploads:
    """What came of the uploads."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    refusals: set[str] = field(default_factory=set)


def content_of(number: int, size: int) -> Iterator[bytes]:
    """The content of a client's file: the same line over and over."""
    piece = (f"{number:015d}\n".encode() * (PIECE // 16))[:PIECE]
    for start in range(0, size, PIECE):
        yield piece[: min(PIECE, size - start)]


@dataclass(frozen=True)
class Client:
    """Somebody who uploads one file."""

    number: int
    size: int
    rate: float
    """Most bytes a second."""

    def send(self, port: int, token: str, into: Uploads) -> None:
        """Upload the file, and note what comes of it."""
        length = sum(map(len, self._body()))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        started = time.monotonic()
        connection.putrequest("POST", "/api/v1/files")
        connection.putheader("Authorization", token)
        connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        sent = 0
        for piece in self._body():
            connection.send(piece)
            sent += len(piece)
            time.sleep(max(0.0, sent / self.rate - (time.monotonic() - started)))
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        into.statuses.append(response.status)
        into.seconds.append(time.monotonic() - started)
        if response.status == CREATED:
            into.ids[answer["id"]] = self.number
        else:
            into.refusals.add(answer["message"])

    def _body(self) -> Iterator[bytes]:
        part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'
        yield f'{part}kind"\r\n\r\nattachment\r\n'.encode()
        yield f'{part}file"; filename="{self.number}.txt"\r\n\r\n'.encode()
        yield from content_of(self.number, self.size)
        yield f"\r\n--{BOUNDARY}--\r\n".encode()


def resident(server: LiveServer) -> int:
    """Memory of a server's processes in bytes."""
    group = [server.pid, *_children(server.pid)]
    return sum(_memory(pid) for pid in group)


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def _memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:")), 0)


def is_kept(folder: Path, file_id: str, number: int, size: int) -> bool:
    """Whether the content in the store is what was sent."""
    wanted, found = hashlib.sha256(), hashlib.sha256()
    for piece in content_of(number, size):
        wanted.update(piece)
    path = folder / "files" / "private" / file_id[:2] / file_id / "original"
    with path.open("rb") as file:
        while data := file.read(PIECE):
            found.update(data)
    return wanted.digest() == found.digest()


def watch(servers: list[LiveServer], peaks: list[int], is_over: threading.Event) -> None:
    """Note the most memory that each server has taken."""
    while not is_over.wait(0.05):
        for place, server in enumerate(servers):
            peaks[place] = max(peaks[place], resident(server))


@click.command("upload")
@click.option("--clients", default=CLIENTS, show_default=True)
@click.option("--size", default=SIZE, show_default=True, help="Bytes of each file.")
@click.option("--slow-rate", default=1_000_000, show_default=True, help="Bytes a second.")
@click.option("--quick", is_flag=True, help="Twenty clients of 5 MB.")
@click.option("--alone", is_flag=True, help="One process for everything.")
def command(
    clients: int, size: int, slow_rate: int, quick: bool, alone: bool  # noqa: FBT001  click's
) -> None:
    """Send files at once, some slowly, and see what the API feels of it."""
    if quick:
        clients, size = 20, 5_000_000
    uploads, is_over = Uploads(), threading.Event()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        variables = {
            "APP_URL": "http://127.0.0.1:8000",  # the issuer of tokens, for both
            "FILE_QUOTA": str(1 << 40),
            "WEB_PROXIES": "1",
            "WEB_RATE_LIMITS": "false",
        }
        api = stack.enter_context(serving(folder, **variables))
        create_user(folder, "ada", Role.USER)
        servers = [api]
        if not alone:
            log = folder / "upload.log"
            own = variables | {"WEB_THREADS": "4", "WS_PORT": str(free_port())}
            servers.append(stack.enter_context(serving(folder, log, **own)))
        upload = f"127.0.0.1:{servers[-1].port}"
        front = stack.enter_context(run_front([api.port], NGINX_UPLOAD=upload))
        ada = Person(f"{front.address}/api/v1")
        ada.sign_in()
        token = ada.token["Authorization"]
        for _ in range(5):
            ada.upload(b"warm")
        read = Ask("/api/v1/articles?page_size=10")
        with under_load(front.port, [read], clients=4) as idle:
            time.sleep(3)
        before = [resident(server) for server in servers]
        peaks = list(before)
        watcher = threading.Thread(target=watch, args=(servers, peaks, is_over))
        watcher.start()
        started = time.monotonic()
        threads = [
            threading.Thread(
                target=Client(number, size, 1e12 if number % SLOW else slow_rate).send,
                args=(front.port, token, uploads),
            )
            for number in range(clients)
        ]
        with under_load(front.port, [read], clients=4) as load:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        seconds = time.monotonic() - started
        is_over.set()
        watcher.join()
        kept = sum(is_kept(folder, *pair, size) for pair in uploads.ids.items())
    grown = [peak - start for peak, start in zip(peaks, before, strict=True)]
    click.echo(
        f"{clients} uploads of {size:,} bytes in {seconds:.1f} s,"
        f" {clients * size / seconds / 1e6:.0f} MB/s; {kept} kept whole;"
        f" slowest {max(uploads.seconds):.1f} s\n"
        f"{''.join(f'Refused: {each}' + chr(10) for each in sorted(uploads.refusals))}"
        f"API alone: p50 {1000 * idle.percentile(0.5):.1f} ms,"
        f" p99 {1000 * idle.percentile(0.99):.1f} ms, {len(idle.answers)} requests\n"
        f"API meanwhile: p50 {1000 * load.percentile(0.5):.1f} ms,"
        f" p99 {1000 * load.percentile(0.99):.1f} ms, {len(load.answers)} requests,"
        f" statuses {dict(load.statuses)}\n"
        f"Memory: {', '.join(f'{each / 2**20:+.0f} MB' for each in grown)}"
    )
    is_whole = kept == clients and set(uploads.statuses) == {CREATED}
    is_calm = load.percentile(0.99) < LIMIT and set(load.statuses) == {200}
    sys.exit(0 if is_whole and is_calm and max(grown) < MEMORY else 1)
