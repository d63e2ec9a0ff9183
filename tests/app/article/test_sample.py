from __future__ import annotations

from sqlalchemy import func, select

from app.article import sample
from strongback.outbox import OutboxMessage


def test_what_they_bring_about_is_done_before_the_server_starts(own_api, tmp_path, monkeypatch):
    """Else each first start would index them twice, and stay 50 MB larger for it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tea.md").write_text("# Green tea\n\n泡茶的方法")
    monkeypatch.setattr(sample, "ROOT", tmp_path)
    for _ in range(2):
        with own_api.app.app_context(), own_api.database.scope():
            sample.add_samples(own_api.app, "ada")
            left = own_api.database.session.scalar(select(func.count(OutboxMessage.id)))
        assert left == 0
    found = own_api.call("GET", "/search?q=泡茶").json
    assert [item["title"] for item in found["items"]] == ["Green tea"]
