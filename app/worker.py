"""`celery -A app.worker worker`, `beat` and `flower`: tasks in processes of their own, on Redis."""

from __future__ import annotations

from app.core.config import load_settings
from app.main import create_app
from strongback.task.celery_entry import make_celery

celery = make_celery(load_settings, create_app)
