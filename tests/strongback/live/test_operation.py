from __future__ import annotations

import pytest

from strongback.outbox import Outbox
from tests.support.api import TrustingAuthenticator
from tests.support.live import grant, published
from tests.support.work import tick

authenticate = TrustingAuthenticator()


@pytest.mark.parametrize("name", ["outbox", "services"])
def test_operators_get_the_last_state_and_nobody_else(api, name):
    channel = f"operation:{name}"
    tick(api.app, channel)
    found = grant(api.app, authenticate("Bearer admin"), channel)
    assert found is not None
    assert [found.data] == published(api.app, channel)
    for by in ("ada", "eve", "admin -operation:read"):
        assert grant(api.app, authenticate(f"Bearer {by}"), channel) is None


def test_there_are_no_others(api):
    assert grant(api.app, authenticate("Bearer admin"), "operation:secrets") is None


def test_the_outbox_says_how_much_waits(api):
    outbox: Outbox = api.app.services[Outbox]
    outbox.subscribe("tea:brewed", "tea:pour")
    api.database.transact(lambda _: outbox.emit("tea:brewed", {}))
    tick(api.app, "operation:outbox")
    (state,) = published(api.app, "operation:outbox")
    assert (state["waiting"], state["dead"]) == (1, 0)


def test_the_services_are_those_of_readyz(api):
    tick(api.app, "operation:services")
    (state,) = published(api.app, "operation:services")
    ready = api.app.test_client().get("/readyz").json
    assert state["services"].keys() == ready["services"].keys()
    assert state["status"] == ready["status"]
