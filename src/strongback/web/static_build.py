"""Builds static files: names with a hash of the content, compressed versions, and the manifest.

The same sources give the same bytes. A folder is built in place: what pages of the previous release
name stays there, and a file appears under its name only when it and its compressed versions are
whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from whitenoise.compress import Compressor

from strongback.static_manifest import MANIFEST
from strongback.web.static_files import HASHED, checksum

HASH_LENGTH = 12
WORKPLACE = ".build-"
"""Beginning of the names of folders in which a build works."""
COMPRESSED = (".gz", ".br")


def build(
    files: Iterable[tuple[str, Path]], target: Path, *, built_before: Path | None = None
) -> int:
    """Copy files to names with their hash, and compress them; returns how many files there are.

    What is in the target stays. Compressed versions are taken from another built folder that has
    them.
    """
    paths, integrity = {}, {}
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target, prefix=WORKPLACE) as workplace:
        for name, source in files:
            content = source.read_bytes()
            paths[name] = hashed_name(name, content)
            integrity[name] = checksum(content, "sha384")
            if not (target / paths[name]).exists():
                _put(paths[name], content, Path(workplace), target, built_before)
        manifest = Path(workplace) / MANIFEST
        known = {"paths": paths, "integrity": integrity}
        manifest.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        manifest.chmod(0o644)
        manifest.replace(target / MANIFEST)
    for name in paths.values():
        for path in _versions(target / name):
            os.utime(path)  # for `prune`: this release still has it
    return len(paths)


def prune(target: Path, age: timedelta) -> int:
    """Delete files that no build has listed for some time; returns how many."""
    current = set(json.loads((target / MANIFEST).read_bytes())["paths"].values())
    oldest, count = time.time() - age.total_seconds(), 0
    for left in target.glob(f"{WORKPLACE}*"):  # by a build that was killed
        if left.stat().st_mtime < oldest:
            shutil.rmtree(left)
    for path in sorted(target.rglob("*")):
        name = path.relative_to(target).as_posix()
        is_ours = HASHED.search(path.name) and not name.endswith(COMPRESSED) and path.is_file()
        if is_ours and name not in current and path.stat().st_mtime < oldest:
            for version in _versions(path):
                version.unlink()
            count += 1
    return count


def hashed_name(name: str, content: bytes) -> str:
    """The name of a built file: `shop/shop.css` becomes `shop/shop.0123456789ab.css`."""
    folder, slash, file = name.rpartition("/")
    stem, dot, ending = file.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:HASH_LENGTH]
    return f"{folder}{slash}{stem}.{digest}.{ending}" if dot else f"{name}.{digest}"


def _put(
    name: str, content: bytes, workplace: Path, target: Path, built_before: Path | None
) -> None:
    whole = workplace / "file"
    whole.write_bytes(content)
    if built_before is not None and (built_before / name).is_file():
        for ending, version in zip(COMPRESSED, _compressed(built_before / name), strict=True):
            if version.is_file():
                shutil.copyfile(version, f"{whole}{ending}")
    elif (compressor := Compressor(quiet=True)).should_compress(name):
        compressor.compress(str(whole))
    goal = target / name
    goal.parent.mkdir(parents=True, exist_ok=True)
    # Compressed versions first: a server that knows the file finds them beside it.
    for version, place in zip(
        (*_compressed(whole), whole), (*_compressed(goal), goal), strict=True
    ):
        if version.is_file():
            version.chmod(0o644)
            version.replace(place)


def _compressed(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(path.name + ending) for ending in COMPRESSED)


def _versions(path: Path) -> Iterator[Path]:
    """A file and its compressed versions, as far as they are there."""
    return (version for version in (*_compressed(path), path) if version.is_file())
