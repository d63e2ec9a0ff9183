"""Articles and comments where the parts `notification` and `realtime` are not registered."""

from __future__ import annotations

from app import article, comment, user
from app.article.node import ArticlePages
from app.core import API
from app.core.permission import ROLES, Role
from app.user.service import UserService
from strongback import search, task
from strongback.app import Strongback
from strongback.testing import empty
from strongback.testing.sign_in import access_token


def test_work_without_telling_anybody(settings):
    app = Strongback("alone", settings, title="Alone", roles=ROLES)
    task.register(app, API)
    search.register(app)
    articles = article.register(app, user.register(app))
    comment.register(app, articles, app.services[ArticlePages].locate)
    empty(app.database)
    client = app.checked().test_client()
    with app.database.scope():
        author = app.services[UserService].create("ada", None, [Role.AUTHOR])
    headers = {"Authorization": f"Bearer {access_token(app, author.id)}"}
    body = {"title": "Tea", "body": "Leaves.", "published": True}
    assert client.post(f"{API}/articles", json=body, headers=headers).status_code == 201
    path = f"{API}/articles/tea"
    written = client.post(f"{path}/comments", json={"body": "b"}, headers=headers)
    assert written.status_code == 201
    assert client.put(f"{path}/like", headers=headers).status_code == 204
    assert client.get(path).get_json()["comments"] == 1
    app.close()
