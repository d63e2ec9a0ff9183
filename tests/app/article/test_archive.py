"""`POST /articles/import`: from the upload to the articles."""

from __future__ import annotations

import io
import random
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import delete, func, select, update

from app.article.archive import ArchiveImports
from app.article.model import Article
from app.user.model import User
from strongback.exceptions import Forbidden
from strongback.task import TaskCancelled
from strongback.upload import Upload
from tests.support.api import API
from tests.support.work import make_due, messages, work

NAME = "/articles/import"


def packed(files: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def form(content: bytes, field: str = "file") -> dict[str, Any]:
    """A form with a file; Werkzeug's client would leave a large one open on the disk."""
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="a.zip"\r\n\r\n'
    data = head.encode() + content + b"\r\n--b--\r\n"
    return {"data": data, "content_type": "multipart/form-data; boundary=b"}


def send(api: API, content: bytes, by: str | None = "ada", **headers: str) -> Any:
    return api.call("POST", NAME, by=by, headers=headers, **form(content))


def bring_in(api: API, files: dict[str, str | bytes], by: str = "ada") -> dict[str, Any]:
    """Import the files; the task as its owner sees it at the end."""
    response = send(api, packed(files), by)
    assert response.status_code == 202
    work(api.app)
    task: Any = api.call("GET", f"/tasks/{response.json['id']}", by=by).json
    return dict(task)


def count(api: API, model: type) -> int:
    with api.database.scope():
        return api.database.session.scalar(select(func.count()).select_from(model)) or 0


FILES: dict[str, str | bytes] = {
    "guide/logging.md": "# Logging\n\nText.\n",
    "zh/guide/logging.md": "# 日志\n\n文字。\n",
    "tea.markdown": "---\ntags: [green]\n---\n# Tea\n\nLeaves.\n",
    "picture.png": b"\x89PNG",
    "broken.md": b"\xff",
    "../out.md": "Text.",
}


class TestRequest:
    def test_answers_202_with_the_tasks_state_and_address(self, api):
        response = send(api, packed(FILES))
        assert response.status_code == 202
        task = response.json
        assert response.headers["Location"] == f"/api/v1/tasks/{task['id']}"
        assert (task["name"], task["state"], task["result"]) == ("article:import", "queued", None)
        seen = api.app.test_client().get(
            response.headers["Location"], headers={"Authorization": "Bearer ada"}
        )
        assert seen.json == task
        assert count(api, Article) == 0

    @pytest.mark.parametrize("content", [b"", b"no zip", packed({"a.txt": "x"})])
    def test_what_is_not_to_be_imported_is_refused_at_once(self, api, content):
        response = send(api, content)
        assert (response.status_code, response.json["error_code"]) == (422, 30003)
        assert [problem["field"] for problem in response.json["errors"]] == ["form.file"]
        assert (count(api, Upload), messages(api.app)) == (0, [])

    def test_reason_is_in_the_readers_language(self, api):
        response = send(api, b"no zip", **{"Accept-Language": "zh"})
        assert response.json["errors"][0]["message"] == "这不是 zip 文件，或文件已损坏。"

    @pytest.mark.parametrize(
        "options, status",
        [
            ({"data": {}}, 415),
            ({"data": {"file": "text"}}, 415),
            ({"data": {"file": "text"}, "content_type": "multipart/form-data"}, 422),
            (form(b"x", "other"), 422),
            ({"data": packed({"a.md": "x"}), "content_type": "application/zip"}, 415),
            ({"json": {}}, 415),
        ],
    )
    def test_what_is_no_form_with_a_file_is_refused(self, api, options, status):
        assert api.call("POST", NAME, by="ada", **options).status_code == status

    def test_may_be_larger_than_other_bodies_up_to_its_own_limit(self, own_api):
        settings = own_api.app.settings
        noise = random.Random(1).randbytes(settings.web_max_body * 2)
        assert send(own_api, packed({"a.md": "x", "noise.png": noise})).status_code == 202
        own_api.app.settings = settings.model_copy(update={"web_max_upload": len(noise)})
        assert send(own_api, packed({"a.md": "x", "noise.png": noise})).status_code == 413
        assert count(own_api, Upload) == 1

    def test_twice_with_one_key_is_one_task(self, api):
        key, content = {"Idempotency-Key": "k"}, packed({"a.md": "x"})
        first, second = (send(api, content, **key) for _ in range(2))
        assert first.json == second.json
        assert second.headers["Idempotency-Replayed"] == "true"
        assert second.headers["Location"] == first.headers["Location"]
        assert send(api, packed({"b.md": "x"}), **key).status_code == 422
        assert count(api, Upload) == 1

    def test_is_limited(self, api):
        statuses = [send(api, b"no zip").status_code for _ in range(21)]
        assert (set(statuses[:20]), statuses[20]) == ({422}, 429)


@pytest.mark.speaks_sql
class TestJob:
    def test_imports_each_file_and_says_what_became_of_it(self, api):
        task = bring_in(api, FILES)
        assert (task["state"], task["error"]) == ("succeeded", None)
        assert task["progress"] == {"done": 5, "total": 5, "message": "zh/guide/logging.md"}
        assert task["result"] == {
            "created": 3,
            "updated": 0,
            "unchanged": 0,
            "skipped": 0,
            "refused": [
                {
                    "file": "../out.md",
                    "reason": "bad path: it leads out of the archive, or has a backslash",
                },
                {
                    "file": "broken.md",
                    "reason": "bad UTF-8: byte 0xff at offset 0: save it as UTF-8, or name its"
                    " encoding",
                },
            ],
            "refused_total": 2,
        }

    def test_gives_the_articles_to_whoever_sent_them(self, api):
        bring_in(api, FILES, by="bob")
        items = api.call("GET", "/articles").json["items"]
        assert {(item["slug"], item["language"], item["author"]) for item in items} == {
            ("guide-logging", "en", "bob"),
            ("guide-logging-zh", "zh", "bob"),
            ("tea", "en", "bob"),
        }

    def test_changes_only_what_changed(self, api):
        bring_in(api, {"a.md": "Text.", "b.md": "Text."})
        result = bring_in(api, {"a.md": "Text.", "b.md": "Other.", "c.md": "Text."})["result"]
        assert [result[name] for name in ("created", "updated", "unchanged")] == [1, 1, 1]

    def test_leaves_the_articles_of_others_alone(self, api):
        api.article(by="bob")
        result = bring_in(api, {"tea.md": "Mine."})["result"]
        reason = result["refused"][0]["reason"]
        assert reason == "duplicate slug: tea is taken: write another slug in the front matter"
        assert api.call("GET", "/articles/tea").json["body"] == "Leaves."

    def test_names_only_the_first_of_many_refused_files(self, api):
        files: dict[str, str | bytes] = {f"{number}.md": "" for number in range(501)}
        result = bring_in(api, files)["result"]
        assert (len(result["refused"]), result["refused_total"]) == (500, 501)

    def test_counts_hidden_files(self, api):
        result = bring_in(api, {".git/x.md": "Text.", "a.md": "Text."})["result"]
        assert (result["skipped"], result["created"], result["refused"]) == (1, 1, [])

    def test_cuts_names_and_reasons(self, api):
        name = "n" * 60_000
        result = bring_in(api, {f"{name}.md": "Text.", f"{name}/a.md": "---\nslug: a\n---\nx"})
        (refused,) = result["result"]["refused"]
        assert (len(refused["file"]), len(refused["reason"])) < (201, 501)

    def test_gives_reasons_in_the_language_of_the_sender(self, api):
        response = send(api, packed({"a.md": ""}), **{"Accept-Language": "zh"})
        work(api.app)
        task: Any = api.call("GET", f"/tasks/{response.json['id']}", by="ada").json
        assert task["result"]["refused"][0]["reason"].startswith("空文件：没有正文")

    def test_is_the_same_upload_under_another_boundary(self, api):
        """A client that sends a form again with its Idempotency-Key separates the parts anew."""
        sent = form(packed({"a.md": "Text."}))
        again = {
            name: value.replace(*swap)
            for (name, value), swap in zip(
                sent.items(), [(b"--b", b"--other"), ("=b", "=other")], strict=True
            )
        }
        key = {"Idempotency-Key": "k"}
        first, second = (
            api.call("POST", NAME, by="ada", headers=key, **upload) for upload in (sent, again)
        )
        assert (first.status_code, second.status_code) == (202, 202)
        assert second.headers["Idempotency-Replayed"] == "true"
        assert second.json["id"] == first.json["id"]

    def test_reads_names_in_the_encoding_that_is_said(self, api):
        content = packed({"??????.md": "Text."}).replace(b"??????", "中文字".encode("gbk"))
        data: bytes = form(content)["data"]
        part = b'--b\r\nContent-Disposition: form-data; name="encoding"\r\n\r\ngbk\r\n'
        response = api.call(
            "POST", NAME, by="ada", data=part + data, content_type="multipart/form-data; boundary=b"
        )
        assert response.status_code == 202
        work(api.app)
        assert api.call("GET", "/articles/中文字").status_code == 200

    @pytest.mark.parametrize("change", [{"disabled": True}, {"roles": ["user"]}])
    def test_ends_where_the_account_may_write_no_longer(self, api, change):
        send(api, packed({f"{number}.md": "Text." for number in range(5)}))
        (message,) = messages(api.app, "article:import")
        imports: ArchiveImports = api.app.services[ArchiveImports]

        def take_the_right(done: int, *_: object) -> None:
            if done == 2:
                account = update(User).where(User.username == "ada").values(change)
                api.database.transact(lambda session: session.execute(account))

        with api.database.scope(), pytest.raises(Forbidden):
            imports.run(message.payload["upload_id"], "ada", take_the_right)
        assert count(api, Article) == 2

    def test_does_not_begin_where_the_account_may_write_no_longer(self, api):
        task = send(api, packed({"a.md": "Text."})).json
        closed = update(User).where(User.username == "ada").values(disabled=True)
        api.database.transact(lambda session: session.execute(closed))
        work(api.app)
        seen: Any = api.call("GET", f"/tasks/{task['id']}", by="admin").json
        assert (seen["state"], count(api, Article)) == ("failed", 0)
        assert seen["error"]["message"] == "This account may not write articles any longer."

    def test_done_again_finds_everything_there(self, api):
        """As after a worker that was killed at the end."""
        response = send(api, packed(FILES))
        (message,) = messages(api.app, "article:import")
        imports: ArchiveImports = api.app.services[ArchiveImports]
        with api.database.scope():
            imports.run(message.payload["upload_id"], "ada", lambda *_: None)
        work(api.app)
        task = api.call("GET", f"/tasks/{response.json['id']}", by="ada").json
        assert (task["state"], task["result"]["unchanged"]) == ("succeeded", 3)

    def test_goes_on_where_it_was_interrupted(self, api):
        send(api, packed({f"{number}.md": "Text." for number in range(5)}))
        (message,) = messages(api.app, "article:import")
        imports: ArchiveImports = api.app.services[ArchiveImports]

        class Killed(BaseException):
            """Stands for the end of the process."""

        def die(done: int, *_: object) -> None:
            if done == 3:
                raise Killed

        with api.database.scope(), pytest.raises(Killed):
            imports.run(message.payload["upload_id"], "ada", die)
        assert count(api, Article) == 3
        work(api.app)
        assert count(api, Article) == 5

    def test_does_not_begin_if_it_was_cancelled(self, api):
        task = send(api, packed({"a.md": "Text."})).json
        assert api.call("DELETE", f"/tasks/{task['id']}", by="ada").status_code == 204
        work(api.app)
        seen: Any = api.call("GET", f"/tasks/{task['id']}", by="ada").json
        assert (seen["state"], count(api, Article)) == ("cancelled", 0)

    def test_ends_where_it_is_cancelled(self, api):
        """Another file of the archive is not read; the archive need not be kept."""
        send(api, packed({f"{number}.md": "Text." for number in range(5)}))
        (message,) = messages(api.app, "article:import")
        imports: ArchiveImports = api.app.services[ArchiveImports]

        def cancel(done: int, *_: object) -> None:
            if done == 2:
                raise TaskCancelled

        with api.database.scope(), pytest.raises(TaskCancelled):
            imports.run(message.payload["upload_id"], "ada", cancel)
        assert count(api, Article) == 2
        with api.database.scope():
            assert api.database.session.scalars(select(Upload.used_at)).one() is not None

    def test_without_its_upload_fails_at_once_and_says_why(self, api):
        response = send(api, packed({"a.md": "Text."}))
        api.database.transact(lambda session: session.execute(delete(Upload)))
        work(api.app)
        make_due(api.app)
        assert work(api.app) == []
        task = api.call("GET", f"/tasks/{response.json['id']}", by="ada").json
        assert task["state"] == "failed"
        assert "send the file again" in task["error"]["message"]

    def test_announces_nothing(self, api):
        api.call("PUT", "/users/ada/follow", by="eve")
        bring_in(api, {"a.md": "Text."})
        assert api.call("GET", "/notifications", by="eve").json["total"] == 0

    def test_is_for_its_owner_and_administrators(self, api):
        address = f"/tasks/{send(api, packed({'a.md': 'x'})).json['id']}"
        statuses = [
            api.call("GET", address, by=by).status_code for by in (None, "bob", "ada", "admin")
        ]
        assert statuses == [401, 404, 200, 200]
