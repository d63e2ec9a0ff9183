"""Twice the input takes twice the time: every parser that strangers or authors reach.

To add a parser, add a line to `PARSERS`. What it does with texts that nobody thought of, the
common shapes show; give it shapes of its own where its grammar has pairs, lists or nesting.

Work that holds the interpreter cannot be interrupted by a deadline, so a parser whose work grows
faster than its input stops a whole process. What a library does slowly gets a bound below it.
"""

from __future__ import annotations

import gc
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from math import inf
from time import thread_time
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder

from app.article.front_matter import MAX_BYTES as FRONT_MATTER_BYTES
from app.article.front_matter import split_front_matter
from app.article.index import ARTICLE
from app.article.markdown import render
from app.article.metadata import read_metadata
from app.article.model import BODY_LENGTH
from app.article.naming import slug_of
from app.article.schema import ArticleIn, ArticleQuery
from app.article.zip_source import documents_in_zip
from app.user.model import normalize_username
from app.user.schema import Email
from strongback import paging
from strongback.auth.token import AccessTokens
from strongback.database import utc_now
from strongback.database.database_error import hide_values
from strongback.exceptions import StrongbackError
from strongback.log import mask as log_mask
from strongback.oauth.view import bearer
from strongback.search import parse_filter, parse_sort
from strongback.search.meilisearch.request import plain, to_html
from strongback.search.tantivy.highlight import Marker
from strongback.search.tantivy.word import split, split_query
from strongback.sms.phone import parse_phone
from strongback.text import normalize, plain_text, slugify, without_controls
from strongback.web.conditional import is_fresh, tags_of
from strongback.web.error_response import wants_problem
from strongback.web.idempotent import claim_of
from strongback.web.limit import client_address
from strongback.web.request import Request
from strongback.web.translation import FOLDER, Translations

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LIMIT = 2.5
"""How many times as long twice the input may take."""
FREE = 0.002
"""Seconds of the processor that do not count: below them there is more noise than work."""
SHORT = 4
"""How many times smaller the inputs of the short form are."""
ROUNDS = 8
"""Measurements in all. Noise makes a time longer and never shorter, so the shortest are compared;
where the first ones already tell, no more are made."""
FEW_ROUNDS = 2
"""Enough where the next doubling decides; where that grows as well, all `ROUNDS` are made."""

Shape = Callable[[int], str]
Parser = Callable[[str], object]


@dataclass(frozen=True)
class Case:
    """A parser, and what it is fed with."""

    parse: Parser
    size: int
    """Characters of the smaller input: half of what is taken, or as many as show the growth."""
    shapes: tuple[str | Shape, ...] = ()
    """A text is repeated."""
    takes_common: bool = True
    """Whether it gets the common shapes as well."""
    is_whole: bool = False
    """Whether the short form has this size too: below a bound of the parser the work may grow."""


# Shapes


def repeated(unit: str) -> Shape:
    return lambda size: (unit * (size // len(unit) + 1))[:size]


def as_shape(shape: str | Shape) -> Shape:
    return repeated(shape) if isinstance(shape, str) else shape


def between(start: str, unit: str, end: str) -> Shape:
    """A long run of one unit that something before and after it may be looked for in vain."""
    return lambda size: start + unit * (size // len(unit)) + end


def opened_and_closed(start: str, end: str) -> Shape:
    return lambda size: start * (size // len(start) // 2) + end * (size // len(end) // 2)


def repeating_formatting(tag: str, rest: str) -> Shape:
    """Formatting that nothing closes, which HTML repeats in each paragraph."""
    return lambda size: (
        "<p>" + "".join(tag.format(i) for i in range(size // 2 // len(tag))) + rest * (size // 8)
    )


def rising(mark: str, text: str) -> Shape:
    """Lines that are one level deeper each."""
    return lambda size: "\n".join(
        mark * depth + text for depth in range(1, int((2 * size / len(mark)) ** 0.5))
    )


def square_table(size: int) -> str:
    columns = int(size**0.5)
    rows = (size - 4 * columns) // 2
    return f"|{'a|' * columns}\n|{'-|' * columns}\n" + "a\n" * rows


COMMON: tuple[str | Shape, ...] = (
    *("a", " ", "\t", "\n", " \n", "\r\n", "\0", "\u2028", "一", "a ", " a", "a,", ",", ";", "a;"),
    *("=", "a=", "a=b,", "'", '"', '"a', "'a", '\\"', "\\", ":", "//", "://", "@", "a@", ".", "-"),
    *("(", ")", "[", "]", "{", "}", "<", ">", "<a", "&", "&a", "%", "%a", "#", "*", "_", "|", "~"),
    *("0", "1", "-1", "+1", "9,", "\u0300\u0316", "a\u0300\u0316", "\uff9e\u0316", "\u0f73"),
    *("\ufdfa", "\u1100\u1161", "\ud83d\ude00", "😀\u200d", "\ufe0f", "\u202e"),
    between("a", " ", "b"),
    between(" ", "a", " "),
    between('"', "a", ""),
    between("'", '"', "'"),
)
MARKDOWN_BLOCKS: tuple[str | Shape, ...] = (
    *(">", "> ", "> a\n", ">> a\n", "> - ", "- > ", "- ", "- a\n", "* ", "1. ", "1) a\n", "1. - "),
    *("- a\n  ", " - a\n", "# ", "# a\n", "#\n", "# a {#b}\n", "# {", "a\n===\n", "===\n", "---\n"),
    *(
        "```\n",
        "``` a\n",
        "~~~\n",
        "    a\n",
        "\ta\n",
        "a\n\n",
        "a  \n",
        "a\\\n",
        "|",
        "|a",
        "|a|\n",
    ),
    *(
        "|-",
        "|-|\n",
        "|a|\n|-|\n",
        "[a]: x\n",
        '[a]: x "\n',
        "[a]:\n",
        "[a\n",
        "[a]: <",
        "[^1]: a\n",
    ),
    *("[^a]: b\n\n    c\n\n", "[^1]\n\n[^1]: a\n\n", "[^a][^b]", "> [!NOTE]\n", "- [ ] a\n"),
    between("# a", " ", "b"),
    between("# a ", "# ", "x"),
    between("# a {", " ", "}"),
    between("# a {#", "b", ""),
    between("a\n-", " ", "x"),
    between("", "- ", "x"),
    between("```", " ", "x\n"),
    between("a", " ", "\nb"),
    rising("  ", "- a"),
    rising(" ", "- a"),
    rising(">", " a"),
    square_table,
    lambda size: f"|{'a|' * (size // 4)}\n|{'-|' * (size // 4)}\n",
    lambda size: "".join(f"[a{i}]: x\n" for i in range(size // 20)) + "[a1][b]" * (size // 16),
    lambda size: "".join(f"# a{i % 7}\n" for i in range(size // 5)),
    lambda size: "".join(f"[^{i}]" for i in range(size // 20))
    + "".join(f"\n\n[^{i}]: a" for i in range(size // 20)),
)
MARKDOWN_INLINE: tuple[str | Shape, ...] = (
    *(
        "![",
        "[a](",
        "[a](<b",
        '[a](b "',
        "[a][",
        "[[a](b)",
        "[]()",
        "a](",
        "][",
        "*[a](b)*",
        "[^1]",
    ),
    *("[^a", "^[a", "*a ", "**a ", "*a_ ", "_a ", "a_", "a*", "*a**", "***a", "a**b*c_", "**a**，"),
    *(
        "（**",
        "**“",
        "一**，",
        "~~a ",
        "~a~~b ",
        "`",
        "``a`",
        "`a``b",
        "&#",
        "&#x1",
        "&amp;",
        "\\a",
    ),
    *("!", "<a@", "<http:", "http://a ", "www.a", "$a", "a:", ":a:", "[a](javascript:", "[a](b)"),
    opened_and_closed("[", "]"),
    opened_and_closed("[a", "](b)"),
    opened_and_closed("*a ", "b* "),
    opened_and_closed("*a _a ", "b_ b* "),
    opened_and_closed("**a", "b**"),
    opened_and_closed("~~a ", "b~~ "),
    opened_and_closed("*", "a"),
    between("[a](", "(", ""),
    between("[a](<", "<", ""),
    between("``", "` ", ""),
    lambda size: " ".join("`" * length for length in range(1, int((2 * size) ** 0.5))),
)
HTML: tuple[str | Shape, ...] = (
    *("<a ", "<a b", "<a b=", '<a b="', "<a b='", "<a>", "<b>", "</b>", "</p>", "<br>", "<p>", "<"),
    *("<!--", "<!-- a", "<?", "<![CDATA[", "<!A", "</a", "</", "<!", "<!-", "<x y='", "<a:", "<a/"),
    *(
        "<div>",
        "<div>\n",
        "<div>\n\n",
        "<div>\n\na\n\n",
        "<b><p>",
        "<i><div>",
        "<a><div>",
        "<b></div>",
    ),
    *(
        "<ul><li>",
        "<dl><dt>",
        "<dd><li>",
        "<table>",
        "<td>",
        "<table><td>",
        "<table><b>",
        "<tr><td>",
    ),
    *("<svg>", "<math><mi>", "<template>", "<select><option>", "<details>", "<ruby><rt>", "<x-y>"),
    *("<textarea>", "<script>", "<style>", "<title>", "<iframe>", "<b title='</b>'>", "<!--><b>"),
    *("<b><!--</b>--></b>", "<b><textarea></b></textarea>", "<svg><b></svg>", "</><b>", "<nobr>"),
    *('<b ==">\n</b>">\n', "<div><table><td></div>", "<b><script><!--<script></script></b>"),
    opened_and_closed("<div>", "</div>"),
    opened_and_closed("<b>", "</b>"),
    repeating_formatting("<b title={0}>", "<p>x"),
    repeating_formatting("<i title={0}>", "x\n\n"),
    repeating_formatting("<font color={0}>", "</p>x<p>"),
    lambda size: f'<p><a title="{"y" * (size // 2)}">' + "<p>x" * (size // 8),
    lambda size: f'<p><b title="{"y" * (size // 2)}">\n\n' + "x\n\n" * (size // 8),
    between("<a", " b", ""),
    between("<a", " b=c", "<"),
    between("<a", " ", "<"),
)
FRONT_MATTER: tuple[str | Shape, ...] = (
    lambda size: "---\ntitle: T\n" + "a: b\n" * (size // 5) + "---\n",
    lambda size: "---\ntitle: " + "[" * (size // 2) + "\n---\n",
    lambda size: '---\ntitle: "' + "\\n" * (size // 2) + '"\n---\n',
    lambda size: "---\n" + "? " * (size // 2) + "\n---\n",
    lambda size: "---\ntitle: T\n" + "\t" * size + "\n---\n",
    lambda size: "+++\n" + "a." * (size // 2) + "a = 1\n+++\n",
    lambda size: "+++\na = [" + "1," * (size // 2) + "]\n+++\n",
    lambda size: '{"a": [' + "1," * (size // 2) + "1]}\n",
    lambda size: "title: a\n" * (size // 9),
)
NO_FRONT_MATTER: tuple[str | Shape, ...] = (
    *("\n", " ", "\r\n", "a: b\n", "a-"),
    between("---\n", "-", ""),
    between("---\n", "--- x\n", ""),
)
MASKED: tuple[str | Shape, ...] = (
    *(
        "[parameters: ",
        "[parameters: ]",
        "input_value=",
        "input_value=a, input_type",
        "://:",
        "://a:",
    ),
    *(
        "authorization: ",
        'cookie: "',
        "password=",
        'password="',
        "password='\\",
        "token",
        "bearer ",
    ),
    *(
        "Basic a",
        "Basic A=",
        " eyJ",
        " eyJaaaaa.",
        "code=",
        'code":"',
        "+8613",
        "+1 2",
        "phone:",
        "138",
    ),
)


# Parsers


CHINESE = Translations(FOLDER)


def in_header(name: str, read: Callable[[Request], object]) -> Parser:
    """Parse a request that has the text in a header."""

    def parse(text: str) -> object:
        environ = EnvironBuilder().get_environ()
        environ["REMOTE_ADDR"] = "192.0.2.1"
        environ[name] = text.encode("utf-8", "replace").decode("latin-1")

        def application(environ: WSGIEnvironment, _: object) -> list[bytes]:
            return [str(read(Request(environ))).encode("utf-8", "replace")]

        proxied = ProxyFix(application, x_for=2, x_host=1)
        return proxied(environ, lambda *_: None)  # type: ignore[arg-type]  # a fake

    return parse


def import_names(text: str) -> object:
    """Read an archive whose only name this is; a zip's names have 65,535 bytes at most."""
    with BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(text[:16_000].replace("\0", "") + ".md", b"x")
        for document in documents_in_zip(file):
            document.text()
        return file


def import_text(text: str) -> object:
    return read_metadata(split_front_matter(f"---\n{text}\n---\nx")[0])


def new_article(field: str) -> Parser:
    values: dict[str, object] = {"title": "t", "body": "b"}
    return lambda text: ArticleIn.model_validate(
        values | {field: [text] if field == "tags" else text}
    )


def database_error(text: str) -> None:
    """What MySQL says of an error has 512 bytes at most."""
    hide_values(DBAPIError(None, None, Exception(1406, text)))


class NoSessions:
    def principal(self, *_: object) -> None:
        return None


authenticate = bearer(AccessTokens("i", "a", ["s" * 32]), NoSessions())  # type: ignore[arg-type]  # a fake
MARKER = Marker(frozenset({"a", "一", "b"}), frozenset({"a", "1"}), frozenset({"一"}))

PARSERS: dict[str, Case] = {
    # what authors write
    "Markdown": Case(render, 4_000),
    "Markdown, blocks": Case(render, 4_000, MARKDOWN_BLOCKS, takes_common=False, is_whole=True),
    "Markdown, inline": Case(render, 4_000, MARKDOWN_INLINE, takes_common=False),
    "Markdown, HTML": Case(render, 8_000, HTML, takes_common=False, is_whole=True),
    "Markdown, anchor": Case(
        render, BODY_LENGTH // 2, (between("# a", " ", "b"),), takes_common=False
    ),
    "front matter": Case(import_text, 4_000, ("a: b\n", "- ", "? ", "a: [", "{a: ", "&a ", "*a ")),
    "front matter, as much as is read": Case(
        split_front_matter,
        FRONT_MATTER_BYTES // 2 - 32,
        FRONT_MATTER,
        takes_common=False,
        is_whole=True,
    ),
    "front matter, its bounds": Case(
        split_front_matter, 50_000, ("---\n", "+++\n", '{"a": ', "a:\n")
    ),
    "front matter that ends nowhere": Case(
        split_front_matter, FRONT_MATTER_BYTES * 16, NO_FRONT_MATTER, takes_common=False
    ),
    "archive, names": Case(import_names, 8_000, ("../", "a/", "a/zh/", ".md")),
    "article, title": Case(new_article("title"), 200_000),
    "article, slug": Case(new_article("slug"), 200_000, ("a-", "-", "é")),
    "article, tag": Case(new_article("tags"), 200_000),
    "account, e-mail": Case(TypeAdapter(Email).validate_python, 50_000, ("a@b.", "a.", "@")),
    "article, body": Case(new_article("body"), 200_000),
    "slug": Case(slugify, 50_000, ("a-", "⚙️ ")),
    "line without controls": Case(without_controls, 50_000),
    "normalize": Case(partial(normalize, "NFKC"), 100_000),
    "text of HTML": Case(plain_text, 50_000, HTML),
    # what strangers ask
    "search, filter": Case(partial(parse_filter, ARTICLE), 1_000, ("(", "not ", "a=1 and ")),
    "search, sort": Case(partial(parse_sort, ARTICLE), 5_000, ("title,",)),
    "search, query": Case(split_query, 50_000),
    "search, query for Meilisearch": Case(plain, 50_000, ("- ", " -")),
    "search, words of a text": Case(split, 50_000),
    "search, highlight": Case(partial(MARKER.mark, crop=200), 50_000, ("a一",)),
    "search, highlight of all": Case(MARKER.mark, 50_000, ("a一",)),
    "search, highlight of Meilisearch": Case(to_html, 50_000),
    "list, cursor": Case(paging.decode_cursor, 50_000, ("W1tb", "MTIz")),
    "list, filter": Case(lambda text: ArticleQuery(tag=text, author=text), 50_000),
    "account, name": Case(normalize_username, 50_000),
    "article, slug of a path": Case(
        lambda text: slug_of(text.split("/"), "name", 120), 50_000, ("d/", "!/", "中/", "a-/")
    ),
    "telephone number": Case(parse_phone, 50_000),
    # headers
    "Accept-Language": Case(
        in_header("HTTP_ACCEPT_LANGUAGE", lambda request: CHINESE.choose(request.accept_languages)),
        8_000,
        ("en;q=", "en;", "zh-", "en,", "*,", "en;q=0.1,"),
    ),
    "Accept": Case(
        in_header("HTTP_ACCEPT", wants_problem),
        8_000,
        ("a/b,", "a/b;", "a/b;c=", 'a/b;c="', "*/*,", "a/b;q=1;"),
    ),
    "Content-Type": Case(
        in_header("CONTENT_TYPE", lambda request: request.mimetype_params),
        8_000,
        ("a/b;", "a/b;c=", ';c="', ";c*0=", ";c*=utf-8''%", ';a="\\'),
    ),
    "X-Forwarded-For": Case(
        in_header("HTTP_X_FORWARDED_FOR", client_address), 8_000, ("::,", "1.2.3.4,", '"1.2.3.4",')
    ),
    "X-Forwarded-Host": Case(
        in_header("HTTP_X_FORWARDED_HOST", lambda it: it.host), 8_000, ("a.",)
    ),
    "If-None-Match": Case(tags_of, 8_000, ('"a",', 'W/"', "W/W/")),
    "If-Modified-Since": Case(
        in_header("HTTP_IF_MODIFIED_SINCE", lambda it: is_fresh(it, "a", utc_now())),
        8_000,
        ("Thu, ", "01 Jan ", "00:", "(a", "+0000 "),
    ),
    "Idempotency-Key": Case(in_header("HTTP_IDEMPOTENCY_KEY", claim_of), 8_000),
    "X-Request-ID": Case(in_header("HTTP_X_REQUEST_ID", lambda it: it.id), 8_000, ("a.",)),
    "Authorization": Case(authenticate, 8_000, ("Bearer ", "a.a", "eyJ", "bearer a.")),
    "Cookie": Case(in_header("HTTP_COOKIE", lambda it: it.cookies), 8_000, ("a=b;", 'a="', "a;")),
    "query string": Case(
        in_header("QUERY_STRING", lambda it: it.args), 8_000, ("a&", "a=b&", "%2")
    ),
    # what is logged of all this
    "log, mask": Case(
        partial(log_mask.mask_text, limit=log_mask.MAX_TRACEBACK),
        log_mask.MAX_TRACEBACK // 2,
        MASKED,
    ),
    "log, name of a field": Case(log_mask.is_secret_key, 20_000, ("_", "pass", "_token", "code")),
    "log, controls": Case(log_mask.escape_controls, 50_000, ("\x1b",)),
    "error of the database": Case(database_error, 256, ("near '", "entry '' for key ", "value: '")),
}


# Measuring


@pytest.fixture(autouse=True)
def _no_garbage_collection() -> Iterator[None]:
    """It looks at every object of the process whenever it likes."""
    gc.disable()
    yield
    gc.enable()


def seconds(parse: Parser, text: str) -> float:
    start = thread_time()
    with suppress(ValueError, StrongbackError, HTTPException):  # a refusal is an answer too
        parse(text)
    return thread_time() - start


def growth(parse: Parser, shape: Shape, size: int) -> float:
    """How many times as long twice the input takes.

    A size above which a parser takes another way makes one step, and growth makes one at each
    doubling: the smaller of two counts.
    """
    first = _growth(parse, shape(size), shape(2 * size), FEW_ROUNDS)
    if first <= LIMIT:
        return first
    second = _growth(parse, shape(2 * size), shape(4 * size))
    return second if second <= LIMIT else min(second, _growth(parse, shape(size), shape(2 * size)))


def _growth(parse: Parser, small: str, large: str, rounds: int = ROUNDS) -> float:
    shortest = longest = inf
    for _ in range(rounds):
        longest = min(longest, seconds(parse, large))
        if longest <= FREE:
            return 1
        shortest = min(shortest, seconds(parse, small))
        if longest <= LIMIT * shortest:
            break
    return longest / shortest


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.timeout(300)
def test_twice_the_input_takes_twice_the_time(name, is_long):
    case = PARSERS[name]
    size = case.size if is_long or case.is_whole else case.size // SHORT
    shapes = dict(enumerate((*(COMMON if case.takes_common else ()), *case.shapes)))
    grown = {
        shape if isinstance(shape, str) else f"shape {number}": factor
        for number, shape in shapes.items()
        if (factor := growth(case.parse, as_shape(shape), size)) > LIMIT
    }
    assert not grown


class TestTheCheck:
    """A check that cannot fail proves nothing, and one that fails by chance is not believed.

    A neighbour on the machine may hide what grows once, and not three times: so often it may try.
    """

    def finds(self, parse: Parser, shape: Shape, size: int) -> bool:
        return any(growth(parse, shape, size) > LIMIT for _ in range(3))

    @pytest.mark.parametrize(
        "pattern, text, size",
        [
            (r"\s*\{$", " ", 1_000),
            (r"<!--.*?-->", "<!--", 1_500),
            (r"(a|b)*c$", "ab", 400),
            (r"'[^x]*x", "'", 2_000),
        ],
    )
    def test_finds_a_pattern_that_goes_back(self, pattern, text, size):
        assert self.finds(re.compile(pattern).search, repeated(text), size)

    def test_finds_a_loop_within_a_loop(self):
        def parse(text: str) -> int:
            return sum(text.count("a", at) for at in range(0, len(text), 8))

        assert self.finds(parse, repeated("a"), 8_000)

    @pytest.mark.parametrize("work", [str.split, sorted, lambda text: [ord(c) for c in text]])
    def test_lets_through_what_grows_as_its_input_does(self, work):
        assert growth(work, repeated("a b "), 100_000) <= LIMIT
