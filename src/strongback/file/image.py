"""Images are decoded and written anew: only the picture is left of what was sent.

Metadata (position, serial numbers, comments), polyglots and broken structures stay behind, and
every image becomes WebP, which each browser since 2020 shows, with transparency and movement. It
is turned upright first, and its colours become sRGB.

Decoders are the part of a server that hostile data attacks with most success, so they run in a
program of their own (`image_child`), one for each image and one at a time for each server process.
A new one costs 60 ms; what it did with memory ends with it, it needs no watchdog, and a limit on
processor time means this image. One for the whole machine would save memory and need an address, a
supervisor and a protocol.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from strongback.exceptions import APIException
from strongback.file.exceptions import (
    ImageDamaged,
    ImagesUnavailable,
    ImageTooComplex,
    TooManyFrames,
    TooManyMovingPixels,
    TooManyPixels,
)
from strongback.file.inspection import Inspected
from strongback.file.kind import ORIGINAL, FileKind, Variant
from strongback.file.type import read_type
from strongback.log.setup import get_logger

log = get_logger(__name__)

CHILD = Path(__file__).with_name("image_child.py")
WEBP = "image/webp"
FORMATS = {
    "image/avif": "AVIF",
    "image/gif": "GIF",
    "image/heic": "HEIF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
}
"""Pillow's names of the formats."""
SECONDS = 20
"""Processor time of the child; the slowest image of 24 megapixels takes 6."""
MAX_WAITING = 8
"""Requests of a process that may wait for the child, each of which holds a thread."""
MAX_WAIT = 30.0
MAX_RESULT = 1 << 16
RETRY_AFTER = {"Retry-After": "10"}
_ERRORS: dict[str, type[APIException]] = {
    "pixels": TooManyPixels,
    "frame_pixels": TooManyMovingPixels,
    "frames": TooManyFrames,
    "memory": ImageTooComplex,
}


class ImageProcessor:
    """Encodes images anew. Safe to share between threads.

    Args:
        seconds: Processor time for one image; by the clock it is twice as many.
        max_waiting: Requests that may wait for their turn.
        max_wait: Seconds after which a waiting request gives up.
        command: The program that decodes.
    """

    def __init__(
        self,
        *,
        seconds: int = SECONDS,
        max_waiting: int = MAX_WAITING,
        max_wait: float = MAX_WAIT,
        command: Sequence[str] = (sys.executable, "-I", str(CHILD)),
    ) -> None:
        self.seconds = seconds
        self._command = command
        self._max_wait = max_wait
        self._turn = threading.BoundedSemaphore(1)
        self._places = threading.BoundedSemaphore(max_waiting + 1)

    def encode(self, source: Path, kind: FileKind) -> Inspected:
        """Encode an image, of a type that `type_of` takes for one, and its variants beside it.

        Raises:
            ImageRefused: The image is damaged, too large, or takes too much to decode.
            ImagesUnavailable: Too many wait, or the decoder was killed from outside.
        """
        whole = Variant(ORIGINAL, kind.max_side, kind.max_side)
        variants = (whole, *sorted(kind.variants, key=lambda each: -each.width * each.height))
        order = {
            "source": str(source.absolute()),
            "format": FORMATS[read_type(source)],
            "folder": str(source.parent.absolute()),
            "boxes": [(each.width, each.height, each.is_cropped) for each in variants],
            "is_still": kind.is_still,
            "seconds": self.seconds,
        }
        with self._turn_taken():
            width, height = self._run(order)
        files = {each.name: source.parent / f"{n}.webp" for n, each in enumerate(variants)}
        if not all(path.is_file() and read_type(path) == WEBP for path in files.values()):
            raise ImageDamaged
        return Inspected(WEBP, files, width, height)

    @contextmanager
    def _turn_taken(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise ImagesUnavailable(headers=RETRY_AFTER)
        try:
            if not self._turn.acquire(timeout=self._max_wait):
                raise ImagesUnavailable(headers=RETRY_AFTER)
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _run(self, order: dict[str, Any]) -> tuple[int, int]:
        begun = time.monotonic()
        folder = Path(order["folder"])
        # Files, which are limited in size, and not pipes, which the child could fill our memory by.
        with (folder / "result").open("w+b") as result, (folder / "errors").open("w+b") as errors:
            try:
                # What it is given are numbers and our own paths.
                status = subprocess.run(  # noqa: S603  above
                    [*self._command, json.dumps(order)],
                    stdin=subprocess.DEVNULL,
                    stdout=result,
                    stderr=errors,
                    cwd=folder,
                    env={},
                    check=False,
                    timeout=2 * self.seconds,
                ).returncode
            except subprocess.TimeoutExpired:
                log.warning("image_decoder_stopped", seconds=2 * self.seconds)
                raise ImageTooComplex from None
            except OSError as error:  # no memory or process is left
                log.exception("image_decoder_not_started")
                raise ImagesUnavailable(headers=RETRY_AFTER) from error
            result.seek(0)
            errors.seek(0)
            if status == 0:
                return _read(result.read(MAX_RESULT))
            output = errors.read(MAX_RESULT)[-500:].decode(errors="replace")
        seconds = round(time.monotonic() - begun, 1)
        log.warning("image_decoder_died", status=status, seconds=seconds, output=output)
        raise _error_of(-status)


def _read(output: bytes) -> tuple[int, int]:
    """Width and height by the result of the child, which a hostile image may have written."""
    try:
        result = dict(json.loads(output))
        if error := result.get("error"):
            log.info("image_refused", error=error, reason=result.get("reason"))
            raise _ERRORS.get(error, ImageDamaged)(params={"limit": int(result.get("limit", 0))})
        width, height = result["sizes"][0]
        return int(width), int(height)
    except (LookupError, RecursionError, TypeError, ValueError):
        raise ImageDamaged from None


def _error_of(number: int) -> APIException:
    """What is said of a child that ended by a signal, or by an error of its own."""
    if number in {signal.SIGXCPU, signal.SIGALRM}:
        return ImageTooComplex()
    if number in {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
        return ImagesUnavailable(headers=RETRY_AFTER)  # somebody's, or no memory left
    return ImageDamaged()
