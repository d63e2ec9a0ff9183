from __future__ import annotations

from strongback.background import Background


class Part:
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls

    def start(self) -> None:
        self.calls.append(f"{self.name} starts")

    def stop(self) -> None:
        self.calls.append(f"{self.name} stops")


def test_what_was_started_first_is_stopped_last():
    calls: list[str] = []
    background = Background()
    background.add(Part("relay", calls))
    background.add(Part("worker", calls))
    background.start()
    background.stop()
    assert calls == ["relay starts", "worker starts", "worker stops", "relay stops"]
