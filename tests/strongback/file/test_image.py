"""Images that are written anew, and those that are refused."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from PIL import Image

from strongback.exceptions import APIException
from strongback.file.exceptions import (
    ImageDamaged,
    ImagesUnavailable,
    ImageTooComplex,
    TooManyFrames,
    TooManyMovingPixels,
    TooManyPixels,
)
from strongback.file.image import ImageProcessor
from strongback.file.kind import FileKind, Variant
from strongback.file.type import readable_images
from tests.support import image

KIND = FileKind(
    "picture",
    types=readable_images(),
    max_bytes=10_000_000,
    variants=(Variant("small", 20, 20), Variant("square", 16, 16, is_cropped=True)),
)
RED, WHITE = (255, 0, 0), (255, 255, 255)


@pytest.fixture
def encode(tmp_path, starts_processes):
    """Write bytes into a folder of their own, and encode them anew."""

    def encode(content, kind=KIND, **options):
        source = tmp_path / "source"
        source.write_bytes(content)
        return ImageProcessor(**options).encode(source, kind)

    return encode


def pixel(path, place):
    with Image.open(path) as made:
        return made.convert("RGBA").getpixel(place)


def frames_of(made):
    return getattr(made, "n_frames", 1)


def is_close(found, colour):
    return all(abs(a - b) < 40 for a, b in zip(found[:3], colour, strict=True))


@pytest.mark.parametrize("form", image.FORMATS)
def test_an_image_becomes_webp_in_all_variants_and_nothing_but_the_picture(encode, form):
    encoded = encode(image.with_everything(form))
    assert (encoded.content_type, encoded.width, encoded.height) == ("image/webp", 60, 40)
    sizes = {}
    for name, path in encoded.files.items():
        assert image.SECRET not in path.read_bytes()
        with Image.open(path) as made:
            assert made.format == "WEBP"
            assert not made.info.keys() & {"exif", "icc_profile", "xmp", "comment"}
            sizes[name] = made.size
    assert sizes == {"original": (60, 40), "small": (20, 13), "square": (16, 16)}


@pytest.mark.parametrize("orientation, corner", [(3, (59, 39)), (6, (39, 0)), (8, (0, 59))])
def test_an_image_is_turned_before_the_note_that_says_so_is_gone(encode, orientation, corner):
    encoded = encode(image.with_everything("JPEG", orientation))
    assert (encoded.width, encoded.height) == ((60, 40) if orientation == 3 else (40, 60))
    assert is_close(pixel(encoded.files["original"], corner), RED)


def test_damaged_metadata_turns_nothing(encode):
    content = image.with_everything("JPEG", 6)
    damaged = content.replace(b"Exif\x00\x00MM\x00*", b"Exif\x00\x00MM\x00\xff", 1)
    assert damaged != content
    assert encode(damaged).width == 60


def test_colours_of_another_profile_stay_as_they_look(encode):
    """Leaving out the profile alone would change them."""
    green = Image.new("RGB", (8, 8), (0, 200, 0))
    content = image.as_bytes(green, icc_profile=image.swapped_profile())
    assert is_close(pixel(encode(content).files["original"], (4, 4)), (200, 0, 0))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_each_mode_of_png_is_taken(encode, mode):
    content = image.as_bytes(image.drawing().convert(mode))
    assert is_close(pixel(encode(content).files["original"], (59, 39)), WHITE)


def test_a_png_of_16_bits_is_taken(encode):
    deep = image.drawing().convert("I").point(lambda value: value * 257).convert("I;16")
    assert is_close(pixel(encode(image.as_bytes(deep)).files["original"], (59, 39)), WHITE)


def test_a_jpeg_in_printing_colours_is_taken(encode):
    content = image.as_bytes(image.drawing().convert("CMYK"), "JPEG")
    assert is_close(pixel(encode(content).files["original"], (59, 39)), WHITE)


def test_transparency_stays(encode):
    content = image.as_bytes(Image.new("RGBA", (30, 30), (255, 0, 0, 0)))
    assert pixel(encode(content).files["small"], (5, 5))[3] == 0


@pytest.mark.parametrize("form", ["AVIF", "GIF", "PNG", "WEBP"])
def test_an_animation_moves_in_all_variants_at_its_speed(encode, form):
    encoded = encode(image.animation(form))
    for path in encoded.files.values():
        with Image.open(path) as made:
            made.load()
            assert (frames_of(made), made.info["duration"]) == (5, 80)


def test_an_animation_of_a_still_kind_is_its_first_frame(encode):
    encoded = encode(image.animation("GIF"), replace(KIND, is_still=True))
    with Image.open(encoded.files["original"]) as made:
        assert frames_of(made) == 1


def test_many_large_frames_become_smaller(encode):
    encoded = encode(image.animation("GIF", 60, (900, 700)), replace(KIND, variants=()))
    assert (encoded.width, encoded.height) == (828, 644)


def test_an_image_is_never_larger_than_its_kind_allows_and_never_enlarged(encode):
    encoded = encode(image.as_bytes(image.drawing(80, 4)), replace(KIND, max_side=40))
    assert (encoded.width, encoded.height) == (40, 2)
    with Image.open(encoded.files["square"]) as made:
        assert made.size == (2, 2)


@pytest.mark.parametrize("name", image.polyglots())
def test_nothing_is_left_of_a_polyglot_but_its_picture(encode, name):
    try:
        encoded = encode(image.polyglots()[name])
    except ImageDamaged:
        return
    for path in encoded.files.values():
        content = path.read_bytes()
        assert not any(part in content for part in (b"PK\x03", b"alert", b"script", b"<?php"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: image.png_of(10_000, 10_000),
        lambda: image.white_png(10_000, 10_000),
        lambda: image.png_of(2**31 - 1, 2**31 - 1),
        lambda: image.jpeg_header(65_000, 65_000),
        lambda: image.gif_header(65_535, 65_535),
        lambda: image.webp_header(16_383, 16_383),
    ],
    ids=["png", "png-whole", "png-largest", "jpeg", "gif", "webp"],
)
def test_an_image_of_too_many_pixels_is_refused_by_its_header(encode, make):
    with pytest.raises(TooManyPixels, match="more than 24 megapixels"):
        encode(make())


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_an_animation_of_too_many_frames_is_refused(encode, form):
    with pytest.raises(TooManyFrames, match="more than 100 frames"):
        encode(image.animation(form, 101))


def test_an_animation_of_too_large_frames_is_refused(encode):
    with pytest.raises(TooManyMovingPixels, match="more than 8 megapixels"):
        encode(image.animation("GIF", 2, (4000, 3000)))


@pytest.mark.parametrize("form", image.FORMATS)
def test_half_an_image_is_refused(encode, form):
    with pytest.raises(ImageDamaged):
        encode(image.truncated(form))


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8\xff\xd9",
        b"RIFF\x00\x00\x00\x00WEBP",
        image.heif(b"avif"),
    ],
    ids=["png", "gif", "jpeg", "jpeg-end", "webp", "avif"],
)
def test_what_only_begins_as_an_image_is_refused(encode, content):
    with pytest.raises(ImageDamaged):
        encode(content)


def test_a_comment_that_unpacks_to_a_hundred_megabytes_is_refused(encode):
    with pytest.raises(ImageDamaged):
        encode(image.text_bomb())


def program(text):
    return (sys.executable, "-c", text)


@pytest.mark.parametrize(
    "text, error",
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ImageDamaged),
        ("import os; os._exit(3)", ImageDamaged),
        ("print('no json')", ImageDamaged),
        ("print('{\"sizes\": [[1, 1]]}')", ImageDamaged),
        ("print('[' * 10**5)", ImageDamaged),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ImagesUnavailable),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", ImageTooComplex),
    ],
    ids=["crash", "exit", "text", "lie", "nested", "killed", "slow"],
)
def test_a_decoder_that_dies_or_lies_is_a_clear_error_and_the_next_image_is_taken(
    encode, text, error
):
    content = image.as_bytes(image.drawing())
    with pytest.raises(error):
        encode(content, command=program(text))
    assert encode(content).width == 60


def test_a_decoder_that_hangs_is_stopped(encode):
    hanging = program("import time; time.sleep(60)")
    with pytest.raises(ImageTooComplex):
        encode(image.as_bytes(image.drawing()), command=hanging, seconds=0.1)


def test_a_decoder_that_cannot_be_started_is_no_error_of_the_sender(encode):
    with pytest.raises(ImagesUnavailable) as raised:
        encode(image.as_bytes(image.drawing()), command=("/nowhere/python",))
    assert raised.value.headers["Retry-After"]


def test_only_some_requests_wait_for_the_decoder(tmp_path, starts_processes):
    """Each of them holds a thread of the server."""
    source = tmp_path / "source"
    source.write_bytes(image.as_bytes(image.drawing()))
    started = tmp_path / "started"
    wait = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    images = ImageProcessor(max_waiting=1, max_wait=0.2, seconds=1, command=program(wait))
    errors = []

    def send():
        try:
            images.encode(source, KIND)
        except APIException as error:
            errors.append(type(error))

    first = threading.Thread(target=send)
    first.start()
    while not started.exists():
        time.sleep(0.01)
    others = [threading.Thread(target=send) for _ in range(3)]
    for thread in others:
        thread.start()
    for thread in (*others, first):
        thread.join()
    assert errors == [ImagesUnavailable] * 3 + [ImageTooComplex]


MEASURE = """
import pathlib, resource, sys
from strongback.file.image import ImageProcessor
from strongback.file.kind import FileKind, Variant
variants = (Variant("medium", 1200, 1200), Variant("small", 200, 200))
kind = FileKind("picture", types=("image/png",), max_bytes=1, variants=variants)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ImageProcessor().encode(pathlib.Path(sys.argv[1]), kind)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def largest_still():
    noise = Image.effect_noise((600, 400), 60).resize((6000, 4000), Image.Resampling.NEAREST)
    noise.putalpha(noise.convert("L"))
    return image.as_bytes(noise.convert("RGBA"), "WEBP", quality=60, method=0)


@pytest.mark.parametrize(
    "make",
    [largest_still, lambda: image.animation("GIF", 100, (700, 500))],
    ids=["still", "moving"],
)
def test_the_largest_images_take_less_than_400_megabytes_and_none_in_the_server(
    tmp_path, starts_processes, make
):
    source = tmp_path / "source"
    source.write_bytes(make())
    run = [sys.executable, "-c", MEASURE, str(source)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    child, server = (int(line) * 1024 for line in done.stdout.split())
    assert child < 420_000_000  # with the 20 MB that Python and Pillow take
    assert server < 10_000_000


def test_an_image_that_takes_too_long_is_the_senders_to_mend(encode):
    whole = image.as_bytes(image.drawing(4800, 4900), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    scans = whole[:last] + whole[last:-2] * 500 + b"\xff\xd9"
    with pytest.raises(ImageTooComplex):
        encode(scans, seconds=1)
