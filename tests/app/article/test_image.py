"""Images in articles."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from app.article.image import KEPT, ArticleImages
from app.core.permission import Role
from strongback.database import utc_now
from strongback.file.file_model import StoredFile
from tests.support import image
from tests.support.upload import form_of, signed_in

URL = "/api/v1"


@pytest.fixture
def ada(app, starts_processes):
    return signed_in(app, "ada", Role.AUTHOR)


def upload(client, headers):
    form = form_of(image.as_bytes(image.drawing()), "a.png", kind="article-image")
    return client.post(f"{URL}/files", **form, headers=headers)


def is_there(client, file):
    return client.get(file["url"]).status_code == 200


@pytest.fixture
def clean(app):
    """Let a day pass, and delete what no article shows."""

    def clean():
        with app.database.scope():
            earlier = update(StoredFile).values(changed_at=utc_now() - 2 * KEPT)
            app.database.transact(lambda session: session.execute(earlier))
        return app.services[ArticleImages].clean()

    return clean


def test_an_author_shows_an_image_by_its_address(client, ada):
    file = upload(client, ada).json
    body = {"title": "A", "slug": "a", "body": f"![A corner]({file['url']})", "published": True}
    client.post(f"{URL}/articles", json=body, headers=ada)
    html = client.get(f"{URL}/articles/a").json["html"]
    assert f'<img src="{file["url"]}" alt="A corner">' in html
    response = client.get(file["variants"]["small"])
    assert (response.status_code, response.content_type) == (200, "image/webp")


def test_who_writes_no_articles_sends_no_images_for_them(app, client):
    assert upload(client, signed_in(app, "bob", Role.USER)).status_code == 403


def test_an_image_stays_as_long_as_an_article_shows_it(client, ada, clean):
    used, unused = upload(client, ada).json, upload(client, ada).json
    for slug in ("a", "b"):
        body = {"title": slug, "slug": slug, "body": f"![]({used['url']})"}
        client.post(f"{URL}/articles", json=body, headers=ada)
    assert clean() == 1
    assert is_there(client, used)
    assert not is_there(client, unused)
    match_any = ada | {"If-Match": "*"}
    client.patch(f"{URL}/articles/a", json={"body": "Text."}, headers=match_any)
    assert clean() == 0
    client.delete(f"{URL}/articles/b", headers=match_any)
    assert clean() == 1
    assert not is_there(client, used)


def test_an_image_that_was_sent_today_is_kept_for_its_article(app, client, ada):
    file = upload(client, ada).json
    assert app.services[ArticleImages].clean() == 0
    assert is_there(client, file)


def test_pages_show_the_pictures_of_those_who_write(app, client, library):
    ada = signed_in(app, "ada")
    library.add_article("tea")
    client.post(f"{URL}/articles/tea/comments", json={"body": "Good."}, headers=ada)
    picture = '<img class="avatar" src="/api/v1/users/ada/avatar{}" alt="" width="{}"'
    assert picture.format("", 24) in client.get("/articles/tea").text
    assert picture.format("?size=large", 48) in client.get("/authors/ada").text
