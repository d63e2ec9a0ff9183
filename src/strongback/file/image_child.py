"""Decodes one image and writes it anew: a program of its own, with limits; see `image`.

    python -I image_child.py '{"source": …}'

It takes an order as JSON, prints its result as JSON, and is gone: what a decoder does wrong meets
one image, no secret and no other request. It imports nothing of the framework.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import sys
import warnings
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, TypedDict

from PIL import AvifImagePlugin, Image, ImageCms, ImageOps

QUALITY = 82
LOSSLESS_EFFORT = 50
MAX_COLOURS = 1 << 15
"""Colours up to which an image may be a drawing, which is written without loss."""
PIXELS_PER_COLOUR = 8
MAX_LOSSLESS = 4_000_000
"""Pixels; more take too much memory and time."""
MEGAPIXELS = 24
FRAMES = 100
FRAME_MEGAPIXELS = 8
HELD_MEGAPIXELS = 32
"""Most of all frames that are written: many frames become smaller."""
MEMORY = 424 << 20
"""Address space in bytes; 24 megapixels of WebP take 400 MiB of it, other formats less."""
FILE_BYTES = 64 << 20
MIN_DURATION, MAX_DURATION, DEFAULT_DURATION = 20, 60_000, 100
"""Milliseconds of a frame; browsers show one without any for the last of these."""
ENDLESS = 0
MILLION = 1_000_000
NO_MEMORY = "encoding error 1"
"""VP8_ENC_ERROR_OUT_OF_MEMORY, of libwebp."""

Size = tuple[int, int]
Box = tuple[int, int, bool]
"""Width and height of one file to write, and whether it is cropped to them."""


class Order(TypedDict):
    """One image, and what becomes of it."""

    source: str
    format: str
    """Name of Pillow's for the format; no other is tried."""
    folder: str
    """Takes the files, which are called by the numbers of their boxes."""
    boxes: list[Box]
    """The first is the largest, of which the others are made."""
    is_still: bool
    seconds: int
    """On the processor; by the clock it is twice as many."""


class Refused(Exception):
    """A limit is exceeded: its name, and what it is."""


def confine(order: Order) -> None:
    """Limit memory, time and files, for good."""
    # Reached by itself, the hard limit is SIGKILL, which looks like somebody else's.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (order["seconds"], order["seconds"] + 1))
    limits = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        # macOS refuses some of them.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (limit, limit))
    signal.alarm(2 * order["seconds"])  # the server that waits may have been killed


def run(order: Order) -> dict[str, Any]:
    """Carry out an order; returns the sizes of the files, or what is wrong with the image."""
    try:
        return {"sizes": encode(order)}
    except Refused as refusal:
        error, limit = refusal.args
        return {"error": error, "limit": limit}
    except Image.DecompressionBombError:  # also of a frame that is larger than the image
        return {"error": "pixels", "limit": MEGAPIXELS}
    except MemoryError:
        return {"error": "memory"}
    except ValueError as error:
        return {"error": "memory" if str(error) == NO_MEMORY else "broken", "reason": str(error)}
    # Decoders raise whatever they like, and there is nothing here but the image.
    except Exception as error:  # noqa: BLE001  above
        return {"error": "broken", "reason": f"{type(error).__name__}: {error}"}


def encode(order: Order) -> list[Size]:
    """Write all files; returns their sizes."""
    source = open_image(order)
    paths = [Path(order["folder"]) / f"{number}.webp" for number in range(len(order["boxes"]))]
    if is_moving(source) and not order["is_still"]:
        return write_moving(source, order, paths)
    side = max(max(box[:2]) for box in order["boxes"])
    source.draft("RGB", (side, side))  # has a JPEG decoded at a half, a quarter or an eighth
    image, profile = upright(source), source.info.get("icc_profile")
    source.close()
    del source  # a decoder of WebP holds two more images
    image = in_srgb(fitted(image, order["boxes"][0]), profile)
    sizes = []
    for box, path in zip(order["boxes"], paths, strict=True):
        made = fitted(image, box)
        made.save(path, "WEBP", **quality_of(made, order["format"]))
        sizes.append(made.size)
    return sizes


def open_image(order: Order) -> Image.Image:
    """Open an image; its header tells whether it is too large or has too many frames."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    if order["format"] == "HEIF":
        import_module("pillow_heif").register_heif_opener(thumbnails=False)  # an extra
    # Twice as many are an error, and a warning is not wanted.
    Image.MAX_IMAGE_PIXELS = MEGAPIXELS * MILLION // 2
    source = Image.open(order["source"], formats=[order["format"]])
    megapixels = source.width * source.height / MILLION
    if megapixels > MEGAPIXELS:
        raise Refused("pixels", MEGAPIXELS)
    if is_moving(source):
        if count_of(source) > FRAMES:
            raise Refused("frames", FRAMES)
        if megapixels > FRAME_MEGAPIXELS:
            raise Refused("frame_pixels", FRAME_MEGAPIXELS)
    return source


def is_moving(source: Image.Image) -> bool:
    """Whether an image has frames; further ones of a JPEG and of HEIC are previews and the like."""
    return source.format in {"AVIF", "GIF", "PNG", "WEBP"} and count_of(source) > 1


def count_of(source: Image.Image) -> int:
    """Number of frames."""
    return int(getattr(source, "n_frames", 1))


def upright(source: Image.Image) -> Image.Image:
    """A copy of the image, turned as its metadata says, in a mode that can be scaled."""
    source.load()
    try:
        image = ImageOps.exif_transpose(source)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  metadata is damaged in many ways, and then turns nothing
        image = source.copy()
    return plain(image)


def plain(image: Image.Image) -> Image.Image:
    """The image with 8 bits of each: grey, RGB, RGBA or CMYK."""
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")


def fitted(image: Image.Image, box: Box) -> Image.Image:
    """The image as large as a box, and never larger than it was."""
    width, height, is_cropped = box
    if is_cropped:
        scale = min(1, image.width / width, image.height / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    return scaled(image, min(width / image.width, height / image.height))


def scaled(image: Image.Image, scale: float) -> Image.Image:
    """The image in a smaller size."""
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image in the colours that are meant where no profile is given."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        # One that does not fit the image changes nothing.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            theirs, ours = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile(
                "sRGB"
            )
            if changed := ImageCms.profileToProfile(image, theirs, ours, outputMode=mode):
                return changed
    return image.convert(mode)


def quality_of(image: Image.Image, form: str) -> dict[str, Any]:
    """Drawings keep each pixel; photographs are written with loss, and so is what is large."""
    pixels = image.width * image.height
    if form not in {"GIF", "PNG", "WEBP"} or pixels > MAX_LOSSLESS:
        return {"quality": QUALITY}
    if image.getcolors(min(MAX_COLOURS, pixels // PIXELS_PER_COLOUR)) is None:
        return {"quality": QUALITY}
    return {"lossless": True, "quality": LOSSLESS_EFFORT}


def write_moving(source: Image.Image, order: Order, paths: list[Path]) -> list[Size]:
    """Write all frames of an image into each file."""
    pixels = count_of(source) * source.width * source.height
    scale = (HELD_MEGAPIXELS * MILLION / pixels) ** 0.5
    profile, durations, frames = source.info.get("icc_profile"), [], []
    for number in range(count_of(source)):
        source.seek(number)
        frame = scaled(upright(source), scale)
        frames.append(in_srgb(fitted(frame, order["boxes"][0]), profile))
        duration = round(source.info.get("duration") or DEFAULT_DURATION)
        durations.append(min(max(duration, MIN_DURATION), MAX_DURATION))
    # A GIF that says nothing about it is played once.
    loop = source.info.get("loop", 1 if source.format == "GIF" else ENDLESS)
    sizes = []
    for box, path in zip(order["boxes"], paths, strict=True):
        first, *others = [fitted(frame, box) for frame in frames]
        first.save(
            path,
            "WEBP",
            save_all=True,
            append_images=others,
            duration=durations,
            loop=loop,
            quality=QUALITY,
        )
        sizes.append(first.size)
    return sizes


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    given: Order = json.loads(sys.argv[1])
    confine(given)
    sys.stdout.write(json.dumps(run(given)))
