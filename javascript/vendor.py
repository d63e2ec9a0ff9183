"""Copies files of npm packages, exactly as npm ships them, to `src/strongback/static/vendor`.

    python javascript/vendor.py              # make vendor
    python javascript/vendor.py --check      # a step of make check: changes nothing

The packages are those in `.venv/javascript`, which npm has checked against `package-lock.json`.
"""  # noqa: INP001  a script, not a module of the application

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "javascript" / "vendor.toml"
PACKAGES = ROOT / ".venv" / "javascript" / "node_modules"
TARGET = ROOT / "src" / "strongback" / "static" / "vendor"
LICENSES = "LICENSES.txt"
SVG = "http://www.w3.org/2000/svg"


def vendored() -> dict[str, bytes]:
    """The files of the folder by name, as the packages have them."""
    known = tomllib.loads(LIST.read_text())
    found = {
        name: (_folder(entry) / entry["path"]).read_bytes() for name, entry in known["file"].items()
    }
    found |= {name: _sprite(entry) for name, entry in known["sprite"].items()}
    packages = sorted({entry["package"] for group in known.values() for entry in group.values()})
    found[LICENSES] = "\n".join(map(_license, packages)).encode()
    return found


def with_checksums(files: dict[str, bytes]) -> str:
    """The list, with the checksums of these files."""
    text = LIST.read_text()
    for name, content in files.items():
        entry = re.compile(rf'("{re.escape(name)}"\]\n.*\n.*\nsha256 = ")[0-9a-f]*')
        text = entry.sub(rf"\g<1>{hashlib.sha256(content).hexdigest()}", text)
    return text


def _folder(entry: dict[str, Any]) -> Path:
    return PACKAGES / str(entry["package"])


def _sprite(entry: dict[str, Any]) -> bytes:
    ET.register_namespace("", SVG)
    sprite = ET.Element(f"{{{SVG}}}svg")
    for name in sorted(entry["icons"]):
        file = _folder(entry) / entry["path"] / f"{name}.svg"
        icon = ET.parse(file).getroot()  # noqa: S314  npm has checked it
        symbol = ET.SubElement(sprite, f"{{{SVG}}}symbol", id=name, viewBox=icon.attrib["viewBox"])
        symbol.extend(icon)
        for element in symbol.iter():
            element.tail = element.text = None
        symbol.tail = "\n"
    return ET.tostring(sprite) + b"\n"


def _license(package: str) -> str:
    folder = PACKAGES / package
    known = json.loads((folder / "package.json").read_bytes())
    text = (folder / "LICENSE").read_text()
    return f"{package} {known['version']} ({known['license']})\n\n{text}"


def _main(arguments: list[str]) -> int:
    files = vendored()
    wanted = {TARGET / name: content for name, content in files.items()}
    wanted[LIST] = with_checksums(files).encode()
    there = {path: path.read_bytes() for path in (*TARGET.iterdir(), LIST)}
    changed = [path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path)]
    if arguments == ["--check"]:
        for path in sorted(changed):
            sys.stdout.write(f"{path.relative_to(ROOT)} is not as npm ships it: make vendor\n")
        return len(changed)
    for path in changed:
        if path in wanted:
            path.write_bytes(wanted[path])
        else:
            path.unlink()
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
