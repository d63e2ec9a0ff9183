"""The part `file`: files on the local disk, or in a bucket of an S3-compatible service."""

from __future__ import annotations

from strongback.app import Strongback
from strongback.exceptions import NotFound
from strongback.extra import require_extra
from strongback.file.exceptions import StoreError, StoreUnavailable
from strongback.file.file_task import file_tasks
from strongback.file.files import REMOVED, Files
from strongback.file.image import ImageProcessor
from strongback.file.view import api
from strongback.task.declaration import TaskRegistry

RETRY_AFTER = {"Retry-After": "5"}


def register(app: Strongback, url_prefix: str) -> Files:
    """Keep files, and serve `/files` below a prefix. Needs the part `task`.

    Slices declare their kinds: `app.services[Files].declare(AVATAR)`.

    Raises:
        ConfigurationError: The extra `file` is not installed.
    """
    require_extra("file", "The part file")
    from strongback.file.object_store import ObjectMissing, open_store  # noqa: PLC0415  an extra

    settings = app.settings
    store = open_store(settings)
    path = f"{url_prefix}/files/{{id}}/content"
    files = Files(app.database, app.outbox, store, ImageProcessor().encode, settings, path)
    app.outbox.declare("strongback.file", REMOVED)
    app.services[TaskRegistry].add(file_tasks(files))
    app.provide(files, store)
    app.register_error_source(StoreError, lambda _: StoreUnavailable(headers=RETRY_AFTER))
    app.register_error_source(ObjectMissing, lambda _: NotFound())
    app.register_api(api, url_prefix=f"{url_prefix}/files")
    remedy = f"See that {settings.app_var_dir / 'files'} can be written, and the disk has room"
    if settings.file_store_url:
        remedy = "See that it runs, and that FILE_STORE_URL, its region and its keys are its own"
    app.checks.add("files", store.check, title="The store of the files", remedy=remedy)
    return files
