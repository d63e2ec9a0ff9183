"""Pages: HTML in one frame, rendered by Jinja, under a strict Content-Security-Policy.

    pages = PageBlueprint("shop", __name__)

    @pages.get("/shop")
    def show_shop() -> Response:
        return render("shop/shop.html", items=items)

and when the slice is registered:

    app.pages.add("shop", Path(__file__).with_name("template"))
    app.pages.link("/shop", "Shop")
    app.register_blueprint(pages)

A template extends `strongback/layout.html` and fills its blocks `title`, `head` and `content`.
What is in `_()` is looked up in the catalogues of the slices and the framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote, urlencode

from flask import Blueprint, current_app
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from werkzeug.exceptions import HTTPException
from xxhash import xxh3_128_digest

from strongback.collision import Names
from strongback.web.error_response import respond
from strongback.web.request import Request, Response, current_request
from strongback.web.static_files import StaticFiles
from strongback.web.translation import Translations, translations

FOLDER = Path(__file__).with_name("template")
LANGUAGE = "language"
"""Query parameter that chooses the language of a page."""
OWN_NAMES = {"en": "English", "zh": "中文"}
"""Languages by their own names, as whoever reads them looks for them."""
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
API_PREFIX = "/api/"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self' {import_map}; img-src 'self' https:; "
    "connect-src 'self'{connect}; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not `no-referrer`: with it, forms of the page itself are sent with `Origin: null`.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
)


class PageLanguage(NamedTuple):
    """The language of a page."""

    locale: str
    is_chosen: bool = True
    """Whether the address says so; otherwise the browser does."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link in the bar on top of all pages."""

    address: str
    text: str
    has_language: bool
    """Whether the page that it leads to takes `?language=`."""


class Pages:
    """The templates and the frame of an application; canonical links name its public address."""

    def __init__(
        self, title: str, translations: Translations, static_files: StaticFiles, address: str
    ) -> None:
        self._title = title
        self.address = address
        self._translations = translations
        self.static_files = static_files
        self._names = Names("folder of templates")
        self._folders: dict[str, FileSystemLoader] = {}
        self.links: list[Link] = []
        self.search: str | None = None
        """Address of the search page, which takes `?q=`."""
        self.sign_in: str | None = None
        self.auth: str | None = None
        """Address of the OAuth endpoints, for the modules of pages."""
        self.connect: list[str] = []
        """Sources beside the application itself that modules may connect to."""
        self.strip: Callable[[str, str], str] = lambda _, __: ""
        """Writes, in a language and for a path, the HTML that development shows on the start page
        and the sign-in page."""
        self.modules: list[str] = []
        """Modules that all pages load when they are there, such as `shop/basket.js`."""
        self.add("strongback", FOLDER)

    def add(self, name: str, folder: Path) -> None:
        """Add templates, named `name/file.html`; `ConfigurationError` if the name is taken."""
        self._names.claim(name, str(folder))
        self._folders[name] = FileSystemLoader(folder)

    def link(self, address: str, text: str, *, has_language: bool = True) -> None:
        """Add a link to the bar on top of all pages; its text is looked up in the catalogues."""
        self.links.append(Link(address, text, has_language))

    @property
    def locales(self) -> list[str]:
        """All languages of the frame, English first."""
        return self._translations.locales

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """Security headers of pages."""
        # By its hash and no nonce: a page is the same for everybody, and kept as it is.
        connect = "".join(f" {source}" for source in self.connect)
        policy = POLICY.format(import_map=self.static_files.import_map_hash, connect=connect)
        return [*HEADERS, ("Content-Security-Policy", policy)]

    @cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=PrefixLoader(self._folders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals.update(
            _=_translator(self._translations.translate),
            frame=self,
            names=OWN_NAMES,
            base=self.address,
            site=self._title,
            static=self.static_files.url,
            module=self.static_files.script,
            link=address_of,
            to=_address,
        )
        environment.filters["day"] = _format_day
        return environment

    @property
    def edition(self) -> bytes:
        """A hash of all templates, and of what they take from the application.

        In development it follows the templates as they are edited.
        """
        if self.static_files.built:
            return self._edition
        return repr([path.stat().st_mtime_ns for path in self._sources]).encode() + self._edition

    @cached_property
    def _edition(self) -> bytes:
        facts = [self._title, self.address, self.links, self.search, self.sign_in, self.auth]
        files = [self.static_files.import_map, *self.modules]
        if self.static_files.built:
            files += [self.static_files.url(name) for name, _ in self.static_files.files()]
        sources = [path.read_bytes() for path in self._sources]
        return xxh3_128_digest(b"\0".join([*sources, repr([facts, files]).encode()]))

    @cached_property
    def _sources(self) -> list[Path]:
        folders = [Path(loader.searchpath[0]) for _, loader in sorted(self._folders.items())]
        return [path for folder in folders for path in sorted(folder.rglob("*.*"))]

    def write(
        self,
        template: str,
        language: PageLanguage,
        *,
        path: str,
        alternates: Mapping[str, str],
        **values: object,
    ) -> str:
        """Render a template without a request, so that the page may be kept for everybody.

        The path marks its link in the bar; alternates are its addresses in other languages.
        """
        known = {"locale": language.locale, "language": language, "alternates": alternates}
        return self._environment.get_template(template).render(known, path=path, **values)


def _translator(translate: Callable[[str, str], str]) -> Callable[..., str]:
    @pass_context
    def look_up(context: Context, message: str, **values: object) -> str:
        text = translate(message, context["locale"])
        return text.format(**values) if values else text

    return look_up


@pass_context
def _format_day(context: Context, moment: datetime | str) -> str:
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return format_day(instant, context["locale"])


def format_day(day: date, locale: str) -> str:
    """A day as a language writes it.

    >>> format_day(date(2026, 11, 6), "en")
    '6 November 2026'
    >>> format_day(date(2026, 11, 6), "zh")
    '2026年11月6日'
    """
    if locale == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


@pass_context
def _address(context: Context, path: str, **query: object) -> str:
    """The address of a page, which keeps a language that was chosen."""
    language: PageLanguage = context["language"]
    chosen = {LANGUAGE: language.locale} if language.is_chosen else {}
    return address_of(path, {**chosen, **query})


def address_of(path: str, query: Mapping[str, object]) -> str:
    """An address with a query; what is None or empty is left out."""
    text = urlencode({name: value for name, value in query.items() if value not in {None, ""}})
    return f"{path}?{text}" if text else path


def pages_of_app() -> Pages:
    """The pages of the current application."""
    return cast("Any", current_app).pages  # type: ignore[no-any-return]  # HTTPApp's


def page_language(request: Request) -> PageLanguage:
    """The language of a page: by `?language=`, else by `Accept-Language`."""
    chosen = request.args.get(LANGUAGE, "")
    if chosen in translations().locales:
        return PageLanguage(chosen)
    return PageLanguage(request.locale, is_chosen=False)


def render(
    template: str, *, status: int = 200, headers: Iterable[tuple[str, str]] = (), **values: object
) -> Response:
    """Respond with a page (`shop/shop.html`), in the language of the request.

    What is personal gets the header `Cache-Control: no-store`.
    """
    request, pages = current_request(), pages_of_app()
    language = page_language(request)
    values.setdefault("path", request.path)
    values.setdefault("alternates", _alternates(request, language))
    html = pages.write(template, language, **values)  # type: ignore[arg-type]  # two of them are named above
    response = Response(html, status, [*headers], mimetype="text/html")
    response.policy = pages.headers
    response.headers["Content-Language"] = language.locale
    response.headers["Vary"] = response.varies = "Accept-Language"
    response.is_taggable = "Cache-Control" not in response.headers
    return response


def _alternates(request: Request, language: PageLanguage) -> dict[str, str]:
    if request.method not in {"GET", "HEAD"}:
        return {}
    kept = {name: value for name, value in request.args.items() if name != LANGUAGE}
    # Browsers read `/\evil.example` as an address of another server.
    path = quote(request.path)
    return {
        locale: address_of(path, {**kept, LANGUAGE: locale})
        for locale in translations().locales
        if locale != language.locale
    }


# Errors


class PageBlueprint(Blueprint):
    """Routes that respond with pages, whose errors are pages too."""

    def __init__(
        self, name: str, import_name: str, **options: Any  # noqa: ANN401  Flask's own
    ) -> None:
        super().__init__(name, import_name, **options)
        self.register_error_handler(Exception, show_error)


def show_error(error: Exception) -> Response | HTTPException:
    """Show an error as a page."""
    request = current_request()
    request.locale = page_language(request).locale
    response = respond(error)
    if not isinstance(response, Response):
        return response
    facts = response.get_json()
    kept = [item for item in response.headers if item[0] in {"Allow", "Retry-After"}]
    return render(
        "strongback/error.html",
        status=response.status_code,
        headers=[*kept, ("Cache-Control", "no-store")],
        code=response.status_code,
        # Of RFC 9457 for those who ask for that.
        message=facts.get("message") or facts["detail"],
        problems=facts.get("errors", []),
        request_id=facts["request_id"],
        traceback="".join(facts.get("traceback", [])),
    )


def respond_to_unmatched(error: Exception) -> Response | HTTPException:
    """Respond to an error outside of page blueprints: JSON, but a page to browsers' mistakes.

    A path that no route has is a page's if it is not the API's and the client asks for HTML:
    browsers name it, other clients send `*/*`.
    """
    request = current_request()
    is_route = request.url_rule is not None or request.path.startswith(API_PREFIX)
    if is_route or "text/html" not in request.environ.get("HTTP_ACCEPT", ""):
        return respond(error)
    return show_error(error)
