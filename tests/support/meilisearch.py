"""A server that speaks Meilisearch's protocol and records what it is asked.

It is no search engine: it checks each request against the published API
(`tests.support.meilisearch_api`), keeps what it is given, runs tasks through their states, and
answers a search with what the test has laid ready. What the API does not know is answered with
Meilisearch's 400 and fails the test, so that drift of the engine or of the client shows without a
Meilisearch.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support.meilisearch_api import DEFAULT_SETTINGS, LOCALES_WRITTEN_BACK, Route, find
from tests.support.meilisearch_filter import BadFilter, Test, parse

MASTER_KEY = "a-master-key-of-the-tests-own"
Answer = tuple[int, Any]
"""Status and body."""
PROCESSING = 2
"""The look at which a task is being done."""
FINISHED = ("succeeded", "failed", "canceled")
LINK = "https://docs.meilisearch.com/errors#"
# crates/meilisearch-types/src/error.rs and tests/auth of the server.
STATUS = {"missing_authorization_header": 401, "invalid_api_key": 403, "missing_content_type": 415}
JSON_TYPES = ("application/json", "application/x-ndjson")
TYPES = {"missing_authorization_header": "auth", "invalid_api_key": "auth", "internal": "internal"}


class Refusal(Exception):
    """An answer of Meilisearch's that says no."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        missing = 404 if code.endswith("_not_found") else 400
        self.status = status or STATUS.get(code, missing)
        self.body = {
            "message": message,
            "code": code,
            "type": TYPES.get(code, "invalid_request"),
            "link": LINK + code,
        }
        super().__init__(message)


@dataclass
class Recorded:
    """A request as it came in."""

    method: str
    path: str
    parameters: dict[str, str]
    body: Any
    key: str | None
    size: int


@dataclass
class StoredIndex:
    """What an index holds."""

    primary_key: str | None
    settings: dict[str, Any] = field(default_factory=lambda: deepcopy(DEFAULT_SETTINGS))
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)


def now() -> str:
    """Return the time as Meilisearch writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Meilisearch:
    """The server's state, and what a test may lay ready. All under one lock."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.problems: list[str] = []
        """What the published API does not know; the fixture fails the test for it."""
        self.indexes: dict[str, StoredIndex] = {}
        self.keys: dict[str, dict[str, Any]] = {}
        self.tasks: list[dict[str, Any]] = []
        """Tasks that were deleted."""
        self.hits: list[dict[str, Any]] | None = None
        """What a search finds; without it, everything that the index holds, in its order."""
        self.facets: dict[str, dict[str, int]] = {}
        self.refusals: list[Refusal] = []
        """Answers to the next requests, whatever they are."""
        self.failures: dict[str, str] = {}
        """Task types whose next task fails, and with which code."""
        self.garbage: bytes | None = None
        """What every answer consists of instead, as from a proxy in front."""
        self.is_stuck = False
        """Tasks stay enqueued."""
        self.thawed = threading.Event()
        self.thawed.set()
        self._looks: defaultdict[int, int] = defaultdict(int)
        self._pending: dict[int, tuple[Route, dict[str, str], dict[str, str], Any]] = {}
        self._lock = threading.RLock()
        self.http = _Server(self)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Take requests and answer none."""
        self.thawed.clear()
        try:
            yield
        finally:
            self.thawed.set()

    def asked(self, method: str, path: str) -> list[Recorded]:
        """Return the requests of one kind."""
        return [one for one in self.requests if (one.method, one.path) == (method, path)]

    def forget(self) -> None:
        """Start a new record."""
        self.requests.clear()

    # Answering

    def answer(self, request: Recorded, content_type: str | None) -> Answer:
        """Answer a request, or refuse it as Meilisearch would."""
        with self._lock:
            self.requests.append(request)
            if self.refusals:
                refusal = self.refusals.pop(0)
                return refusal.status, refusal.body
            try:
                return self._answer(request, content_type)
            except Refusal as refusal:
                return refusal.status, refusal.body

    def _answer(self, request: Recorded, content_type: str | None) -> Answer:
        found = find(request.method, request.path)
        if found is None:
            raise self._unknown(request, "bad_request", "no such route", 404)
        route, parts = found
        if route.action:
            self._authorize(request, route.action, parts)
        for name in request.parameters:
            if name not in route.parameters:
                raise self._unknown(request, "bad_request", f"Unknown parameter `{name}`")
        if route.body:
            if content_type not in JSON_TYPES[: 2 if request.path.endswith("/documents") else 1]:
                raise self._unknown(request, "missing_content_type", f"sent as {content_type}")
            for place, problem in route.body(request.body, ""):
                raise self._unknown(request, "bad_request", f"{problem} at `{place or '.'}`")
        if route.task:
            return 202, self._enqueue(route, parts, request)
        answer: Answer = getattr(self, f"_{request.method.lower()}_{_name(route.path)}")(
            parts, request
        )
        return answer

    def _unknown(
        self, request: Recorded, code: str, why: str, status: int | None = None
    ) -> Refusal:
        self.problems.append(f"{request.method} {request.path}: {why}")
        return Refusal(code, why, status)

    def _authorize(self, request: Recorded, action: str, parts: dict[str, str]) -> None:
        if request.key is None:
            text = "The Authorization header is missing. It must use the bearer authorization"
            raise Refusal("missing_authorization_header", f"{text} method.")
        if request.key == MASTER_KEY:
            return
        key = self._key_of(request)
        group = action.split(".", 1)[0] + ".*"
        names = [parts["uid"]] if "uid" in parts else []
        if route_is_swap(request):
            names = [name for pair in request.body for name in pair["indexes"]]
        elif request.path == "/indexes" and request.method == "POST":
            names = [request.body["uid"]]
        if (
            key is None
            or not {action, group, "*"} & set(key["actions"])
            or not all(_is_covered(name, key["indexes"]) for name in names)
        ):
            raise Refusal("invalid_api_key", "The provided API key is invalid.")

    def _key_of(self, request: Recorded) -> dict[str, Any] | None:
        return next((key for key in self.keys.values() if key["key"] == request.key), None)

    def _index(self, uid: str) -> StoredIndex:
        if uid not in self.indexes:
            raise Refusal("index_not_found", f"Index `{uid}` not found.")
        return self.indexes[uid]

    def _get_health(self, _parts: dict[str, str], _request: Recorded) -> Answer:
        return 200, {"status": "available"}

    def _get_version(self, _parts: dict[str, str], _request: Recorded) -> Answer:
        return 200, {"commitSha": "0" * 40, "commitDate": now(), "pkgVersion": "1.50.0"}

    def _get_keys(self, _parts: dict[str, str], request: Recorded) -> Answer:
        offset, limit = (
            int(request.parameters.get(n, d)) for n, d in (("offset", 0), ("limit", 20))
        )
        keys = list(self.keys.values())
        page = keys[offset : offset + limit]
        return 200, {"results": page, "offset": offset, "limit": limit, "total": len(keys)}

    def _get_keys_key(self, parts: dict[str, str], _request: Recorded) -> Answer:
        wanted = parts["key"]
        for uid, key in self.keys.items():
            if wanted in (uid, key["key"]):
                return 200, key
        raise Refusal("api_key_not_found", f"API key `{wanted}` not found.")

    def _delete_keys_key(self, parts: dict[str, str], request: Recorded) -> Answer:
        _, key = self._get_keys_key(parts, request)
        del self.keys[key["uid"]]
        return 204, None

    def _post_keys(self, _parts: dict[str, str], request: Recorded) -> Answer:
        uid = request.body["uid"]
        if uid in self.keys:
            text = f"`uid` field value `{uid}` is already an existing API key."
            raise Refusal("api_key_already_exists", text, 409)
        # The documentation: a key is the HMAC of its uid with the master key, in hexadecimal.
        key = hmac.new(MASTER_KEY.encode(), uid.encode(), hashlib.sha256).hexdigest()
        dates = {"createdAt": now(), "updatedAt": now()}
        empty = {"name": None, "description": None}
        self.keys[uid] = {**empty, **request.body, "key": key, **dates}
        return 201, self.keys[uid]

    def _get_indexes(self, _parts: dict[str, str], _request: Recorded) -> Answer:
        views = [self._view(uid) for uid in sorted(self.indexes)]
        return 200, {"results": views, "offset": 0, "limit": 1_000, "total": len(views)}

    def _get_indexes_uid(self, parts: dict[str, str], _request: Recorded) -> Answer:
        self._index(parts["uid"])
        return 200, self._view(parts["uid"])

    def _view(self, uid: str) -> dict[str, Any]:
        dates = {"createdAt": now(), "updatedAt": now()}
        return {"uid": uid, "primaryKey": self.indexes[uid].primary_key, **dates}

    def _get_indexes_uid_stats(self, parts: dict[str, str], _request: Recorded) -> Answer:
        index = self._index(parts["uid"])
        names = {name for document in index.documents.values() for name in document}
        distribution = {
            name: sum(name in document for document in index.documents.values()) for name in names
        }
        return 200, {
            "numberOfDocuments": len(index.documents),
            "isIndexing": bool(self._pending),
            "fieldDistribution": distribution,
        }

    def _get_indexes_uid_settings(self, parts: dict[str, str], _request: Recorded) -> Answer:
        return 200, self._index(parts["uid"]).settings

    def _get_indexes_uid_documents_document(
        self, parts: dict[str, str], _request: Recorded
    ) -> Answer:
        document = self._index(parts["uid"]).documents.get(parts["document"])
        if document is None:
            raise Refusal("document_not_found", f"Document `{parts['document']}` not found.")
        return 200, document

    def _post_indexes_uid_documents_fetch(self, parts: dict[str, str], request: Recorded) -> Answer:
        offset, limit = request.body.get("offset", 0), request.body.get("limit", 20)
        documents = list(self._index(parts["uid"]).documents.values())
        if (ids := request.body.get("ids")) is not None:
            wanted = set(map(str, ids))
            key = self._index(parts["uid"]).primary_key
            documents = [one for one in documents if str(one[key or "id"]) in wanted]
        if text := request.body.get("filter"):
            test = _read_filter(self._index(parts["uid"]), text, "invalid_document_filter")
            documents = [one for one in documents if test(one)]
        if fields := request.body.get("fields"):
            documents = [{name: one[name] for name in fields if name in one} for one in documents]
        page = documents[offset : offset + limit]
        return 200, {"results": page, "offset": offset, "limit": limit, "total": len(documents)}

    def _post_indexes_uid_search(self, parts: dict[str, str], request: Recorded) -> Answer:
        index, body = self._index(parts["uid"]), request.body
        self._check_attributes(request, index)
        hits = list(index.documents.values()) if self.hits is None else self.hits
        answer: dict[str, Any] = {"query": body.get("q") or "", "processingTimeMs": 1}
        if "page" in body or "hitsPerPage" in body:
            page, size = body.get("page", 1), body.get("hitsPerPage", 20)
            total = min(len(hits), index.settings["pagination"]["maxTotalHits"])
            start = (page - 1) * size
            pages = -(-total // size) if size else 0
            answer |= {"hitsPerPage": size, "page": page, "totalPages": pages, "totalHits": total}
        else:
            start, size = body.get("offset", 0), body.get("limit", 20)
            answer |= {"limit": size, "offset": start, "estimatedTotalHits": len(hits)}
        found = [self._hit(hit, body) for hit in hits[max(start, 0) : max(start, 0) + size]]
        if "facets" in body:
            answer["facetDistribution"] = {
                name: self.facets.get(name, {}) for name in body["facets"]
            }
            answer["facetStats"] = {}
        return 200, {"hits": found, **answer}

    @staticmethod
    def _hit(hit: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        wanted = body.get("attributesToRetrieve", ["*"])
        formatted = hit.get("_formatted", hit)
        shown = {name: hit[name] for name in hit if "*" in wanted or name in wanted}
        shown.pop("_formatted", None)
        if body.get("attributesToHighlight") or body.get("attributesToCrop"):
            shown["_formatted"] = formatted
        return shown

    @staticmethod
    def _check_attributes(request: Recorded, index: StoredIndex) -> None:
        """Filters, facets and sorting work on declared attributes only."""
        settings = index.settings
        if text := request.body.get("filter"):
            _read_filter(index, text, "invalid_search_filter")
        for sort in request.body.get("sort", []):
            if sort.rpartition(":")[0] not in settings["sortableAttributes"]:
                raise Refusal("invalid_search_sort", f"Attribute `{sort}` is not sortable.")
        for facet in request.body.get("facets", []):
            if facet not in settings["filterableAttributes"]:
                text = f"Invalid facet distribution: Attribute `{facet}` is not filterable."
                raise Refusal("invalid_search_facets", text)

    def _get_tasks(self, _parts: dict[str, str], request: Recorded) -> Answer:
        limit = int(request.parameters.get("limit", 20))
        tasks, total = self.tasks[::-1][:limit], len(self.tasks)
        first = tasks[0]["uid"] if tasks else None
        return 200, {"results": tasks, "total": total, "limit": limit, "from": first, "next": None}

    def _get_tasks_task(self, parts: dict[str, str], request: Recorded) -> Answer:
        """Show a task: enqueued at the first look, processing at the second, then done."""
        uid = int(parts["task"])
        if uid >= len(self.tasks) or not self._shows(request, self.tasks[uid]):
            raise Refusal("task_not_found", f"Task `{uid}` not found.")
        task = self.tasks[uid]
        if uid in self._pending and not self.is_stuck:
            self._looks[uid] += 1
            if self._looks[uid] == PROCESSING:
                task.update(status="processing", batchUid=uid, startedAt=now())
            elif self._looks[uid] > PROCESSING:
                self.settle(uid)
        return 200, task

    def _shows(self, request: Recorded, task: dict[str, Any]) -> bool:
        """A key for some indexes sees tasks of one index only, so no swap (queue/tasks.rs)."""
        key = self._key_of(request)
        if key is None or "*" in key["indexes"]:
            return True
        return task["indexUid"] is not None and _is_covered(task["indexUid"], key["indexes"])

    # Tasks

    def _enqueue(self, route: Route, parts: dict[str, str], request: Recorded) -> dict[str, Any]:
        uid = len(self.tasks)
        name = parts.get("uid")
        if route.task == "indexCreation":
            name = request.body["uid"]
        task: dict[str, Any] = {
            "uid": uid,
            "batchUid": None,
            "indexUid": name,
            "status": "enqueued",
        }
        task |= {"type": route.task, "canceledBy": None, "details": {}, "error": None}
        task |= {"duration": None, "enqueuedAt": now(), "startedAt": None, "finishedAt": None}
        self.tasks.append(task)
        self._pending[uid] = (route, parts, request.parameters, request.body)
        summary = {key: task[key] for key in ("indexUid", "status", "type", "enqueuedAt")}
        return {"taskUid": uid, **summary}

    def settle(self, last: int | None = None) -> None:
        """Do every task, or all up to one, in the order in which they were taken on."""
        with self._lock:
            for uid in sorted(self._pending):
                if last is None or uid <= last:
                    self._finish(uid)

    def _finish(self, uid: int) -> None:
        route, parts, parameters, body = self._pending.pop(uid)
        task = self.tasks[uid]
        try:
            self._run(str(route.task), parts, parameters, body)
        except Refusal as refusal:
            task.update(status="failed", error=refusal.body)
        else:
            task["status"] = "succeeded"
        task.update(startedAt=task["startedAt"] or now(), finishedAt=now(), duration="PT0.001S")

    def _run(self, kind: str, parts: Any, parameters: Any, body: Any) -> None:
        if code := self.failures.pop(kind, None):
            raise Refusal(code, f"The task failed as the test wants: {code}.")
        getattr(self, f"_run_{_snake(kind)}")(parts, parameters, body)

    def _run_index_creation(self, _parts: Any, _parameters: Any, body: dict[str, Any]) -> None:
        if body["uid"] in self.indexes:
            raise Refusal("index_already_exists", f"Index `{body['uid']}` already exists.", 409)
        self.indexes[body["uid"]] = StoredIndex(body.get("primaryKey"))

    def _run_index_deletion(self, parts: dict[str, str], _parameters: Any, _body: Any) -> None:
        self._index(parts["uid"])
        del self.indexes[parts["uid"]]

    def _run_settings_update(
        self, parts: dict[str, str], _parameters: Any, body: dict[str, Any]
    ) -> None:
        index = self.indexes.setdefault(parts["uid"], StoredIndex(None))
        for name, value in body.items():
            before = index.settings[name]
            if value is None:
                value = deepcopy(DEFAULT_SETTINGS[name])  # noqa: PLW2901  null means the default
            elif name in ("typoTolerance", "faceting", "pagination"):
                value = {**before, **value}  # noqa: PLW2901  these are merged key by key
            elif name in ("stopWords", "sortableAttributes", "dictionary"):
                value = sorted(set(value))  # noqa: PLW2901  these are sets, kept in order
            elif name == "localizedAttributes":
                for rule in value:
                    rule["locales"] = [LOCALES_WRITTEN_BACK.get(x, x) for x in rule["locales"]]
            index.settings[name] = value

    def _run_document_addition_or_update(
        self, parts: dict[str, str], parameters: dict[str, str], body: list[dict[str, Any]]
    ) -> None:
        index = self.indexes.setdefault(parts["uid"], StoredIndex(None))
        index.primary_key = index.primary_key or parameters.get("primaryKey")
        if index.primary_key is None:
            raise Refusal("index_primary_key_no_candidate_found", "The primary key is unknown.")
        for document in body:
            value = str(document.get(index.primary_key, ""))
            if not value or not all(c.isascii() and (c.isalnum() or c in "-_") for c in value):
                text = f"Document identifier `{value}` is invalid."
                raise Refusal("invalid_document_id", text)
        for document in body:
            index.documents[str(document[index.primary_key])] = document

    def _run_document_deletion(self, parts: dict[str, str], _parameters: Any, body: Any) -> None:
        index = self._index(parts["uid"])
        if "document" in parts:
            index.documents.pop(parts["document"], None)
        elif isinstance(body, dict):
            self._delete_by_filter(index, body["filter"])
        elif body is None:
            index.documents.clear()
        else:
            for one in body:
                index.documents.pop(str(one), None)

    def _delete_by_filter(self, index: StoredIndex, text: str) -> None:
        test = _read_filter(index, text, "invalid_document_filter")
        kept = {key: one for key, one in index.documents.items() if not test(one)}
        index.documents = kept

    def _run_index_swap(self, _parts: Any, _parameters: Any, body: list[dict[str, Any]]) -> None:
        for swap in body:
            first, second = swap["indexes"]
            missing = [uid for uid in (first, second) if uid not in self.indexes]
            if missing:
                raise Refusal("index_not_found", f"Index `{missing[0]}` not found.")
            held = self.indexes
            held[first], held[second] = held[second], held[first]
            # The history of tasks follows; those yet to be done stay as they are.
            other = {first: second, second: first}
            for task in self.tasks:
                if task["status"] in FINISHED:
                    task["indexUid"] = other.get(task["indexUid"], task["indexUid"])


def _read_filter(index: StoredIndex, text: str, code: str) -> Test:
    """Read a filter by the published grammar; it may name filterable attributes only."""
    try:
        test, attributes, _ = parse(text)
    except (BadFilter, ValueError) as error:
        raise Refusal(code, str(error)) from error
    for attribute in attributes:
        if attribute not in index.settings["filterableAttributes"]:
            raise Refusal(code, f"Attribute `{attribute}` is not filterable.")
    return test


def route_is_swap(request: Recorded) -> bool:
    """Whether a request names its indexes in its body."""
    return request.path == "/swap-indexes"


def _is_covered(name: str, patterns: list[str]) -> bool:
    return any(
        name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))
        for pattern in patterns
    )


def _name(path: str) -> str:
    return path.strip("/").replace("/", "_").replace("{", "").replace("}", "").replace("-", "_")


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, meilisearch: Meilisearch) -> None:
        self.meilisearch = meilisearch
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        assert isinstance(self.server, _Server)
        meilisearch = self.server.meilisearch
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        meilisearch.thawed.wait(30)
        parts = urlsplit(self.path)
        scheme, _, key = (self.headers.get("Authorization") or "").partition(" ")
        content_type = self.headers.get("Content-Type")
        request = Recorded(
            self.command,
            unquote(parts.path),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            _read(raw, content_type),
            key if scheme == "Bearer" and key else None,
            len(raw),
        )
        status, answer = meilisearch.answer(request, content_type)
        body = b"" if answer is None else json.dumps(answer).encode()
        body = body if meilisearch.garbage is None else meilisearch.garbage
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815  http.server's names

    def log_message(self, *_arguments: Any) -> None:
        """Keep quiet: what it was asked is in its record."""


def _read(raw: bytes, content_type: str | None) -> Any:
    if not raw or content_type not in JSON_TYPES:
        return None
    if content_type == "application/json":
        return json.loads(raw)
    return [json.loads(line) for line in raw.splitlines() if line.strip()]


@contextmanager
def run_meilisearch() -> Iterator[Meilisearch]:
    """Start a server, and say at the end what the published API did not know."""
    meilisearch = Meilisearch()
    thread = threading.Thread(target=meilisearch.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield meilisearch
    finally:
        meilisearch.thawed.set()
        meilisearch.http.shutdown()
        meilisearch.http.server_close()
        thread.join()
    assert meilisearch.problems == [], "requests that the published API does not know"
