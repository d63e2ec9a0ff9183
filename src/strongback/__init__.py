"""Strongback: the Flask backend that a team does not outgrow.

Importing it costs next to nothing: each name is imported when it is first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strongback.app import Strongback
    from strongback.config import Settings, load_settings
else:
    from strongback.extra import lazily

    __getattr__ = lazily(
        __name__,
        {
            "Settings": "strongback.config",
            "Strongback": "strongback.app",
            "load_settings": "strongback.config",
        },
    )

__all__ = ["Settings", "Strongback", "load_settings"]
