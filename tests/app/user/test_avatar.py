"""Pictures of accounts."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from sqlalchemy import select

from strongback.file import Files
from strongback.file.file_model import StoredFile
from tests.support import image
from tests.support.upload import form_of, signed_in

URL = "/api/v1/users"


@pytest.fixture
def ada(app, starts_processes):
    return signed_in(app, "ada")


def send(client, headers, content=None, name="me.jpg"):
    content = image.with_everything("JPEG") if content is None else content
    return client.put(f"{URL}/me/avatar", **form_of(content, name), headers=headers)


def files_of(app):
    with app.database.scope():
        return app.database.session.scalars(select(StoredFile.public_id)).all()


class TestSet:
    def test_a_picture_is_shown_to_everybody_without_its_metadata(self, client, ada):
        address = send(client, ada).json["avatar_url"]
        assert client.get(f"{URL}/ada").json["avatar_url"] == address
        response = client.get(f"{address}&size=large", follow_redirects=True)
        assert (response.status_code, response.content_type) == (200, "image/webp")
        assert image.SECRET not in response.data
        with Image.open(io.BytesIO(response.data)) as picture:
            assert picture.size == (40, 40)

    def test_a_new_picture_has_a_new_address_and_the_one_before_is_deleted(self, app, client, ada):
        first = send(client, ada).json["avatar_url"]
        assert send(client, ada).json["avatar_url"] != first
        assert len(files_of(app)) == 1

    @pytest.mark.parametrize(
        "content, number", [(image.SVG, 17004), (image.heif(b"heic"), 17021), (b"", 17005)]
    )
    def test_what_is_no_picture_is_refused_and_the_one_before_stays(
        self, app, client, ada, content, number
    ):
        address = send(client, ada).json["avatar_url"]
        response = send(client, ada, content)
        assert (response.status_code, response.json["error_code"]) == (422, number)
        assert client.get(f"{URL}/me", headers=ada).json["avatar_url"] == address
        assert len(files_of(app)) == 1

    def test_needs_an_account(self, client, ada):
        assert send(client, {}).status_code == 401


class TestRemove:
    def test_nothing_of_the_picture_is_left(self, app, client, ada):
        send(client, ada)
        for _ in range(2):
            assert client.delete(f"{URL}/me/avatar", headers=ada).status_code == 204
        assert client.get(f"{URL}/ada").json["avatar_url"] is None
        assert files_of(app) == []


class TestRead:
    def test_an_account_without_a_picture_has_its_letter(self, client, library):
        library.add_user("ada")
        response = client.get(f"{URL}/ada/avatar")
        assert (response.status_code, response.content_type) == (200, "image/svg+xml")
        assert ">A<" in response.text
        assert "sandbox" in response.headers["Content-Security-Policy"]

    def test_so_has_one_whose_picture_was_deleted_as_a_file(self, app, client, ada):
        send(client, ada)
        (public_id,) = files_of(app)
        assert client.delete(f"/api/v1/files/{public_id}", headers=ada).status_code == 204
        assert client.get(f"{URL}/ada/avatar").content_type == "image/svg+xml"
        assert send(client, ada).status_code == 200

    def test_a_picture_at_the_cdn_is_asked_there(self, app, client, ada, monkeypatch):
        send(client, ada)
        monkeypatch.setattr(app.services[Files], "cdn_url", "https://cdn.example.com")
        address = client.get(f"{URL}/ada/avatar").headers["Location"]
        assert address.startswith("https://cdn.example.com/")

    def test_who_is_not_there_is_404(self, client):
        assert client.get(f"{URL}/nobody/avatar").status_code == 404
