from __future__ import annotations

import pytest

from app.core.permission import Role

URL = "/api/v1/users"


class TestRead:
    def test_shows_what_everybody_may_know(self, client, library):
        library.add_user("ada", Role.ADMIN)
        user = client.get(f"{URL}/ada").json
        assert set(user) == {"id", "username", "avatar_url", "created_at"}
        assert user["username"] == "ada"
        assert user["created_at"].endswith("Z")

    def test_who_is_not_there_is_404(self, client):
        response = client.get(f"{URL}/nobody")
        assert (response.status_code, response.json["error_code"]) == (404, 20001)

    @pytest.mark.parametrize("name", ["ab", "Ada", "a b", "%00%00%00", "a" * 33, "%ff%fe%fd"])
    def test_what_is_no_name_is_422(self, client, name):
        response = client.get(f"{URL}/{name}")
        assert response.status_code == 422
        assert [error["field"] for error in response.json["errors"]] == ["path.username"]

    def test_is_confirmed_as_unchanged(self, client, library):
        library.add_user("ada")
        tag = client.get(f"{URL}/ada").headers["ETag"]
        assert client.get(f"{URL}/ada", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.speaks_sql
class TestList:
    def test_shows_no_password(self, client, library):
        library.add_user("ada")
        (item,) = client.get(URL).json["items"]
        assert set(item) == {"id", "username", "avatar_url", "created_at"}

    def test_is_oldest_first_page_by_page(self, client, library):
        for name in ("zoe", "ada", "eve"):
            library.add_user(name)
        page = client.get(f"{URL}?page=2&page_size=2").json
        assert [item["username"] for item in page["items"]] == ["eve"]
        assert (page["page"], page["page_size"], page["total"]) == (2, 2, 3)

    def test_is_walked_by_cursor(self, client, library):
        for name in ("zoe", "ada", "eve"):
            library.add_user(name)
        first = client.get(f"{URL}?cursor=&page_size=2").json
        second = client.get(f"{URL}?page_size=2&cursor={first['next_cursor']}").json
        assert [item["username"] for item in first["items"]] == ["zoe", "ada"]
        assert [item["username"] for item in second["items"]] == ["eve"]
        assert "next_cursor" not in second
