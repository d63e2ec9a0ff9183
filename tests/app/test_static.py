"""The static files of the whole application, built as the image builds them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

from app.core.config import Settings
from app.main import create_app
from strongback.web.static_build import build
from strongback.web.static_files import StaticFiles
from tests.support.static import leave_uncompressed

IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']""")
JSDOC = re.compile(r"/\*\*.*?\*/", re.DOTALL)


@pytest.fixture
def built(settings: Settings, tmp_path: Path) -> StaticFiles:
    """The static files after a build."""
    target = tmp_path / "built"
    first = create_app(settings)
    leave_uncompressed(first, target)
    build(first.static_files.files(), target)
    first.close()
    app = create_app(settings.model_copy(update={"web_static_dir": target}))
    app.close()
    return app.static_files


def test_all_are_built(built: StaticFiles):
    built.check()


def test_each_import_of_a_module_leads_to_a_built_file(built: StaticFiles):
    imports = json.loads(built.import_map)["imports"]
    for name, path in built.files():
        if name.endswith(".js") and not name.startswith(("swagger/", "strongback/vendor/")):
            for wanted in IMPORT.findall(JSDOC.sub("", path.read_text())):
                address = urljoin(f"/static/{name}", wanted) if wanted[0] in "./" else wanted
                assert address in imports, f"{name} imports {wanted}"
