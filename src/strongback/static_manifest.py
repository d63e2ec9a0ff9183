"""The manifest of built static files.

A server reads it before it starts, when little of the framework is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path

from strongback.exceptions import ConfigurationError

MANIFEST = "staticfiles.json"
"""File of a built folder that maps names to hashed names, and to checksums (`integrity`)."""


def read_manifest(built: Path) -> dict[str, dict[str, str]]:
    """Read what a built folder has; `ConfigurationError` if it has no manifest."""
    try:
        found = json.loads((built / MANIFEST).read_bytes())
        return {part: dict(found[part]) for part in ("paths", "integrity")}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigurationError(
            f"WEB_STATIC_DIR: {built} has no {MANIFEST} that can be read ({error}); build the"
            " static files: flask static build"
        ) from error
