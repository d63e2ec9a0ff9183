"""Schemathesis reads the application's own document and asks whatever it allows, and does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from strongback.app import Strongback
from strongback.paging import DEPTH
from tests.app.article_library import ArticleLibrary
from tests.web_fixture import logs, small_app

__all__ = ["logs", "small_app"]

# Every check is on. Refusals of valid data are set aside where no schema can say what is wanted: a
# cursor that an earlier answer gave, a password that is not a common one, a name that is free to
# use after folding, a client that is known, a number of a country that is served, a filter, an
# address of e-mail, a line in which something is seen and nothing is a control character, a token
# from the link in a message, a kind of file that somebody has declared.
RULES_BEYOND_A_SCHEMA = {
    "GET /api/v1/search",
    "POST /api/v1/articles",
    "PATCH /api/v1/articles/{slug}",
    "POST /api/v1/users",
    "PATCH /api/v1/users/me",
    "POST /api/v1/auth/revoke",
    "POST /api/v1/auth/sms-codes",
    "POST /api/v1/auth/password/reset",
    "POST /api/v1/users/me/email/verification/confirmation",
    "POST /api/v1/notifications/unsubscribe",
    "POST /api/v1/files",
    "POST /api/v1/files/presign",
}
GENERATION = {"mode": "all", "deterministic": True, "database": "none"}


@dataclass
class Findings:
    """What the engine has asked, and what it has to say about the answers."""

    cases: int = 0
    operations: set[str] = field(default_factory=set)
    failures: set[str] = field(default_factory=set)

    def add(self, event: events.EngineEvent) -> None:
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.NonFatalError):
            self.failures.add(f"{event.label}: {event.value!r}")
        if isinstance(event, events.ScenarioFinished):
            self._add_scenario(event.recorder)

    def _add_scenario(self, recorder: ScenarioRecorder) -> None:
        self.cases += len(recorder.cases)
        for number, node in recorder.cases.items():
            case = node.value
            self.operations.add(case.operation.label)
            self.failures |= {
                f"{check.name} {case.as_curl_command()}: {check.failure_info.failure}"
                for check in recorder.checks.get(number, ())
                if check.failure_info and not _is_beyond_a_schema(check.name, case)
            }


def _is_beyond_a_schema(check: str, case: Any) -> bool:
    if check == "allow_header_conformance":
        # An article may be called "import": its methods are allowed at that address too. So are
        # those of a file, whose address has an id in the same place, and of the picture of anybody.
        return case.operation.label in {
            "POST /api/v1/articles/import",
            "POST /api/v1/files/presign",
            "PUT /api/v1/users/me/avatar",
            "DELETE /api/v1/users/me/avatar",
        }
    if check != "positive_data_acceptance":
        return False
    query = case.query or {}
    # Page numbers end by their product with the page's size, which a schema cannot say.
    is_deep = (int(query.get("page", 1)) - 1) * int(query.get("page_size", 20)) >= DEPTH
    return case.operation.label in RULES_BEYOND_A_SCHEMA or bool(query.get("cursor")) or is_deep


@pytest.fixture
def full_app(small_app: Strongback) -> Strongback:
    """An application that has something to read under the names of the document's examples."""
    library = ArticleLibrary(small_app)
    for slug in ("getting-started", "second", "third"):
        library.add_article(slug, tags=("x",))
        library.add_comment(slug, "A comment.")
    with small_app.app_context():
        small_app.extensions["alembic"].stamp()
    return small_app


def keep_lengths_apart(schemas: dict[str, Any]) -> None:
    """Spell the pattern of a text so that Schemathesis does not fold its length into it.

    An expression of 100,000 repetitions takes a second to read, again and again: `POST /articles`
    was left after 8 of its 104 cases.
    """
    for name in ("ArticleIn", "ArticleChange", "NewComment"):
        body = schemas[name]["properties"]["body"]
        assert body["pattern"] == r"\S"
        body["pattern"] = r"(?=\S)"


def schema_operations(app: Strongback) -> Iterator[str]:
    document: Any = app.test_client().get("/openapi.json").json
    for path, methods in document["paths"].items():
        yield from (f"{method.upper()} {path}" for method in methods)


def test_answers_are_as_documented(full_app, is_long):
    generation = GENERATION | {"max-examples": 20 if is_long else 5}
    config = SchemathesisConfig.from_dict(
        {"seed": 20260101, "workers": 1, "generation": generation}
    )
    schema = schemathesis.openapi.from_wsgi("/openapi.json", full_app, config=config)
    keep_lengths_apart(schema.raw_schema["components"]["schemas"])
    findings = Findings()
    for event in from_schema(schema).execute():
        findings.add(event)
    assert not findings.failures, "\n\n".join(sorted(findings.failures))
    assert findings.operations == set(schema_operations(full_app))
    assert findings.cases > 1000
