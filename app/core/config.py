"""Settings of the application, beside those of the framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from strongback import config

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the project."""


class Settings(config.Settings):
    """Every setting."""

    ROOT: ClassVar[Path] = ROOT


def load_settings(**values: Any) -> Settings:  # noqa: ANN401  each field validates its own
    """Read the settings, as `strongback.config.load_settings` does."""
    return config.load_settings(Settings, **values)
