"""Examines pages in Chromium: wide and narrow, light and dark, in both languages.

    @in_views
    def test_the_page_is_sound(browser: Browser, address: str, view: View):
        PageCheck(browser, address).examine("/sign-in", view)

    with check.page("/sign-in", View(390, "dark", "zh")) as page:
        page.get_by_role("button").click()

A page must have no findings of axe, break no policy, write nothing to the console, ask for nothing
elsewhere and nothing in vain, hold still while it loads and not scroll sideways. With the variable
SCREENSHOTS, a folder, each view leaves a picture there.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Request
from werkzeug.serving import make_server

from app.core.config import ROOT
from tests.support.process import long_only

AXE = ROOT / ".venv/node/node_modules/axe-core/axe.min.js"
MAX_SHIFT = 0.05
"""Cumulative layout shift (CLS) that is still good by half."""
WATCH = """
window.examined = {violations: [], shift: 0};
addEventListener("securitypolicyviolation", (event) =>
  examined.violations.push(event.violatedDirective + " " + event.blockedURI));
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) examined.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
EXAMINE = """(options) => axe.run(document, options).then(({violations}) => violations.map(
  (rule) => rule.id + ": " + rule.nodes.map((node) => node.target.join(" ")).join(", ")))"""
EVERYTHING: dict[str, Any] = {"rules": {"target-size": {"enabled": True}}}
COLOURS: dict[str, Any] = {"runOnly": ["color-contrast"]}
Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class View:
    """How somebody looks at a page."""

    width: int = 1280
    scheme: Scheme = "light"
    locale: str = "en"

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}-{self.locale}"


in_views = pytest.mark.parametrize(
    "view",
    # Long words run out of narrow pages, and what nobody translated is found at any width.
    [View(390), View(1280, locale="zh"), *long_only(View(1280), View(390, locale="zh"))],
    ids=str,
)
"""Marks a test of both widths in both languages; `examine` looks at each of them light and dark."""


@dataclass
class Report:
    """What was seen of a page."""

    status: int = 0
    bytes: Counter[str] = field(default_factory=Counter)
    """Bytes over the wire by kind: `Document`, `Stylesheet`, `Script`, `Image`, `Fetch`."""
    sizes: Counter[str] = field(default_factory=Counter)
    """Bytes over the wire by address."""
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@contextmanager
def serve(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve an application, on a port of its own if none is named; yields its address."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@cache
def _axe() -> str:
    if not AXE.exists():
        pytest.skip("axe is not installed: make .venv/.done/node")
    return AXE.read_text()


class PageCheck:
    """Opens the pages of a server.

    Args:
        browser: The browser.
        address: Address of the server.
        ignored: Selectors of elements that axe leaves out, since they are not ours.
    """

    def __init__(self, browser: Browser, address: str, *, ignored: tuple[str, ...] = ()) -> None:
        self.browser = browser
        self.address = address
        self.report = Report()
        """What was seen of the page that was opened last."""
        self._ignored = ignored

    def examine(
        self,
        path: str | Mapping[str, str],
        view: View,
        *,
        name: str = "",
        status: int = 200,
        prepare: Callable[[Page], object] = lambda _: None,
    ) -> None:
        """Examine a page, light and dark.

        Args:
            path: Path and query, or one for each locale.
            view: Width and language.
            name: Name of the pictures; from the path if left out.
            status: Expected status.
            prepare: Called with the page before it is examined, to open a dialog and the like.
        """
        where = path if isinstance(path, str) else path[view.locale]
        with self.page(where, view, status=status) as page:
            prepare(page)
            self._examine(page, view, name or where)

    @contextmanager
    def page(
        self,
        path: str,
        view: View | None = None,
        *,
        status: int = 200,
        javascript: bool = True,
        **options: Any,
    ) -> Iterator[Page]:
        """Open a page, which must have done nothing wrong by the end of the block."""
        view, report = view or View(), Report()
        self.report = report
        is_phone = view.width < 600
        with self.browser.new_context(
            base_url=self.address,
            locale=view.locale,
            color_scheme=view.scheme,
            viewport={"width": view.width, "height": 844 if is_phone else 800},
            is_mobile=is_phone,
            has_touch=is_phone,
            java_script_enabled=javascript,
            **options,
        ) as context:
            context.add_init_script(WATCH)
            page = context.new_page()
            self._watch(page, report, status)
            response = page.goto(path, wait_until="load")
            assert response is not None
            report.status = response.status
            yield page
            if javascript:
                violations = page.evaluate("examined.violations")
                report.problems += [f"policy: {each}" for each in violations]
                self._hold_still(page)
        assert (report.status, report.problems) == (status, []), f"{path} {view}: {report}"

    def _watch(self, page: Page, report: Report, status: int) -> None:
        def note(request: Request) -> None:
            report.requests.append(request.url)
            if not request.url.startswith((f"{self.address}/", "data:", "blob:")):
                report.problems.append(f"elsewhere: {request.url}")

        page.on("request", note)
        page.on("pageerror", lambda error: report.problems.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                # Chromium says of a page itself that it is 404, which the test expects.
                None
                if status >= 400 and f"status of {status}" in message.text
                else report.problems.append(f"console: {message.text}")
            ),
        )
        page.on(
            "requestfailed",
            lambda request: report.problems.append(f"failed: {request.url} {request.failure}"),
        )
        page.on(
            "response",
            lambda response: (
                report.problems.append(f"{response.status}: {response.url}")
                if response.status >= 400 and response.status != status
                else None
            ),
        )
        kinds: dict[str, tuple[str, str]] = {}
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.on(
            "Network.responseReceived",
            lambda event: kinds.update(
                {event["requestId"]: (event["type"], event["response"]["url"])}
            ),
        )

        def count(event: dict[str, Any]) -> None:
            kind, address = kinds.get(event["requestId"], ("", ""))
            report.bytes[kind] += int(event["encodedDataLength"])
            report.sizes[address] += int(event["encodedDataLength"])

        network.on("Network.loadingFinished", count)

    def _examine(self, page: Page, view: View, name: str) -> None:
        problems = self.report.problems
        self._hold_still(page)
        wide = page.evaluate("[document.documentElement.scrollWidth, screen.width]")
        if wide[0] > wide[1]:
            problems.append(f"sideways: {wide[0]} > {wide[1]}")
        page.evaluate(_axe())
        schemes: tuple[tuple[Scheme, dict[str, Any]], ...] = (
            ("light", EVERYTHING),
            ("dark", COLOURS),
        )
        for scheme, options in schemes:
            page.emulate_media(color_scheme=scheme)
            self._picture(page, View(view.width, scheme, view.locale), name)
            found = page.evaluate(
                EXAMINE.replace("document,", f"{{exclude: {list(self._ignored)}}},"), options
            )
            problems += [f"axe, {scheme}: {each}" for each in found]

    def _hold_still(self, page: Page) -> None:
        shift = page.evaluate("window.examined?.shift ?? 0")
        if shift >= MAX_SHIFT:
            self.report.problems.append(f"shift: {shift:.3f}")

    def _picture(self, page: Page, view: View, name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            file = re.sub(r"[^\w-]+", "-", name).strip("-") or "start"
            page.screenshot(path=Path(folder) / f"{file}-{view}.png", full_page=True)
            page.evaluate(
                "window.examined && (examined.shift = 0)"
            )  # of the window that grew for the picture
