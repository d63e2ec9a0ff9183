"""`python -m app.realtime`: WebSockets in a process of their own, on Redis, at `WS_PORT`."""

from __future__ import annotations

from app.core.config import load_settings
from app.main import create_app
from strongback.realtime.entry import run

if __name__ == "__main__":
    run(load_settings, create_app)
