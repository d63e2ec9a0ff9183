from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from strongback.web import init_metrics

COUNT = "http_request_duration_seconds_count"


@pytest.fixture
def probe(bare):
    """An application with metrics and routes that only this test has."""

    def fail():
        raise ValueError("wrong")

    bare.add_url_rule("/metrics-test/<name>", "named", lambda name: {"name": name})
    bare.add_url_rule("/metrics-test-fail", "fail", fail)
    init_metrics(bare, None)
    return bare


def counts(app):
    """What the metrics have counted of requests."""
    lines = app.test_client().get("/metrics").text.splitlines(keepends=True)
    text = "".join(line for line in lines if line.startswith(COUNT))
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def counted(app, **labels):
    """How many requests with these labels the metrics have counted."""
    return sum(sample.value for sample in counts(app) if labels.items() <= sample.labels.items())


def routes(app):
    return {sample.labels["route"] for sample in counts(app)}


def test_requests_are_counted_by_route(probe):
    before = counted(probe, route="/metrics-test/<name>", method="GET", status="200")
    for name in ("one", "two", "three"):
        probe.test_client().get(f"/metrics-test/{name}")
    assert counted(probe, route="/metrics-test/<name>", method="GET", status="200") == before + 3


def test_paths_are_no_labels(probe):
    """Each path would be a time series of its own, and anybody can invent paths."""
    probe.test_client().get("/metrics-test/one")
    probe.test_client().get("/metrics-test-unknown")
    assert not {"/metrics-test/one", "/metrics-test-unknown"} & routes(probe)


def test_what_nobody_serves_is_one_series(probe):
    before = counted(probe, route="unmatched", status="404")
    for number in range(3):
        probe.test_client().get(f"/metrics-test-unknown/{number}")
    assert counted(probe, route="unmatched", status="404") == before + 3


def test_invented_methods_are_one_series(probe):
    before = counted(probe, method="other")
    for method in ("BREW", "WHEN"):
        probe.test_client().open("/metrics-test/one", method=method)
    assert counted(probe, method="other") == before + 2


def test_failures_are_counted(probe):
    before = counted(probe, route="/metrics-test-fail", status="500")
    probe.test_client().get("/metrics-test-fail")
    assert counted(probe, route="/metrics-test-fail", status="500") == before + 1


def test_answers_in_prometheus_own_form_and_is_not_stored(probe):
    response = probe.test_client().get("/metrics")
    assert response.mimetype == "text/plain"
    assert response.headers["Cache-Control"] == "no-store"
