"""What the application adds to the framework's logging."""

from __future__ import annotations

from strongback.log.setup import LogConfig

LOGGING = LogConfig(levels={"app": None})
