from __future__ import annotations

from app import user
from app.core import API
from app.core.permission import ROLES
from strongback.app import Strongback
from strongback.migration.runner import upgrade


def test_accounts_need_neither_tasks_nor_search_nor_sms(settings):
    app = Strongback("alone", settings, title="Alone", roles=ROLES)
    user.register(app)
    upgrade(app)
    client = app.checked().test_client()
    body = {"username": "ada", "password": "correct horse battery staple"}
    assert client.post(f"{API}/users", json=body).status_code == 201
    token = client.post(f"{API}/auth/token", data=body | {"grant_type": "password"})
    assert token.get_json()["token_type"] == "Bearer"
    app.close()
