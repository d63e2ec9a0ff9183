"""Notifications, tasks and articles live, at the official SDK's client."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from app.core.permission import Role
from tests.support.sdk import Live, Watcher, connected, living, value
from tests.support.thread import run_async

ARTICLE = {"title": "Tea", "body": "Leaves.", "published": True}


class People:
    """Carol writes, Dave reads."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.carol = live.headers(live.account("carol", Role.AUTHOR))
        self.dave = live.headers(live.account("dave"))

    def call(self, method: str, path: str, by: dict[str, str], **options: Any) -> Any:
        client = self.live.app.test_client()
        response = client.open(f"/api/v1{path}", method=method, headers=by, **options)
        assert response.status_code < 300, response.get_data(as_text=True)
        return response.get_json(silent=True)


@pytest.fixture
def people(settings) -> Iterator[People]:
    with living(settings) as live:
        yield People(live)


async def received(watcher: Watcher, kind: str | None) -> Any:
    """The next event about this kind, or about reading; signing in was told as well."""
    while True:
        event = value((await watcher.next("publication")).pub.data)
        if event.get("notification", {}).get("kind") == kind:
            return event


def test_a_notification_arrives_and_is_read_on_every_device(people):
    people.call("PUT", "/users/carol/follow", people.dave)
    phone = people.live.connection(people.dave)
    browser = people.live.connection(people.dave)

    async def scenario():
        async with (
            connected(phone, is_binary=True) as (_, on_phone),
            connected(browser) as (
                _,
                in_browser,
            ),
        ):
            await asyncio.to_thread(people.call, "POST", "/articles", people.carol, json=ARTICLE)
            for watcher in (on_phone, in_browser):
                event = await received(watcher, kind="article:published")
                assert event["notification"]["texts"]["zh"] == "carol 发布了《Tea》。"
                assert event["unread"] >= 1
            await asyncio.to_thread(
                people.call, "POST", "/notifications/read", people.dave, json={"all": True}
            )
            for watcher in (on_phone, in_browser):
                assert (await received(watcher, kind=None))["unread"] == 0

    run_async(scenario())
    assert people.call("GET", "/notifications/unread", people.dave) == {"count": 0}


def test_readers_of_an_article_see_comments_and_likes(people):
    article = people.call("POST", "/articles", people.carol, json=ARTICLE)
    connection = people.live.connection(people.carol)

    async def scenario():
        async with connected(connection) as (client, _):
            page = Watcher()
            subscription = client.new_subscription(f"article:{article['id']}", events=page)
            await subscription.subscribe()
            counters = {"type": "counters", "likes": 0, "comments": 0}
            assert value((await page.next("subscribed")).data) == counters
            await asyncio.to_thread(people.call, "PUT", "/articles/tea/like", people.dave)
            event = value((await page.next("publication")).pub.data)
            assert event == counters | {"likes": 1}
            body = {"body": "Fine."}
            written = await asyncio.to_thread(
                people.call, "POST", "/articles/tea/comments", people.dave, json=body
            )
            seen = [value((await page.next("publication")).pub.data) for _ in range(2)]
            assert counters | {"likes": 1, "comments": 1} in seen
            assert {"type": "comment", "comment": written} in seen

    run_async(scenario())


def test_an_article_has_one_channel(people):
    number = people.call("POST", "/articles", people.carol, json=ARTICLE)["id"]
    carol, live = people.live.principal(people.carol), people.live.realtime.channels

    def is_granted(name: str) -> bool:
        channels = live.find(name)
        assert channels is not None
        return channels.grant(carol, name) is not None

    with people.live.app.database.scope():
        assert is_granted(f"article:{number}")
        for other in (f"0{number}", f"{number}.0", f"+{number}", "0", "9" * 200, "tea"):
            assert not is_granted(f"article:{other}"), other


def test_whoever_imports_sees_the_progress(people):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for number in range(20):
            files.writestr(f"page-{number}.md", f"# Page {number}\n\nLeaves.\n")
    upload = {"file": (io.BytesIO(archive.getvalue()), "pages.zip")}
    task = people.call("POST", "/articles/import", people.carol, data=upload)
    connection = people.live.connection(people.carol)

    async def scenario():
        async with connected(connection) as (client, _):
            progress = Watcher()
            subscription = client.new_subscription(f"task:{task['id']}", events=progress)
            await subscription.subscribe()
            state = value((await progress.next("subscribed")).data)
            while state["state"] != "succeeded":
                state = value((await progress.next("publication")).pub.data)
            assert (state["progress"]["done"], state["progress"]["total"]) == (20, 20)

    run_async(scenario())
