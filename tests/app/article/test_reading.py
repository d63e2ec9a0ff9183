"""What a page makes of an article's HTML."""

from __future__ import annotations

import pytest

from app.article.highlight import MAX_BLOCK, Highlighter
from app.article.markdown import render
from app.article.reading import Heading, choose, prepare, slugs_for


def prepared(body: str, title: str = "Title") -> str:
    return prepare(render(body).html, title).html


class TestHighlight:
    def test_nothing_of_the_code_is_lost_or_let_through(self):
        code = '\n  if a < b && "</code><script>":  # x\n\n'
        html = Highlighter().highlight(code, "python")
        assert "<script>" not in html
        plain = html.replace("</span>", "")
        for name in "ckbfdsn":
            plain = plain.replace(f'<span class="{name}">', "")
        assert plain == code.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def test_known_languages_get_colours(self):
        assert '<span class="k">def</span>' in Highlighter().highlight("def f(): ...", "Python")

    @pytest.mark.parametrize("language", ["", "brainfuck", "../x"])
    def test_other_languages_stay_plain(self, language: str):
        assert "<span" not in Highlighter().highlight("def f(): ...", language)

    def test_a_long_block_stays_plain(self):
        assert "<span" not in Highlighter().highlight("x = 1\n" * MAX_BLOCK, "python")

    def test_what_is_left_when_the_time_is_spent_stays_plain_and_whole(self):
        highlighter = Highlighter(seconds=0)
        assert highlighter.highlight("x = 1", "python") == "x = 1"
        html = Highlighter(seconds=1e-9).highlight("def f(): ...\n" * 99, "python")
        assert html.count("def") == 99
        assert html.count("<span") == 1


class TestPrepare:
    def test_the_title_is_not_there_twice(self):
        assert "Title" not in prepared("# Title\n\nText.")
        assert "Other" in prepared("# Other\n\nText.")

    def test_has_a_table_of_contents(self):
        text = prepare(render("## One *two*\n\n### Deep\n\n#### Deeper").html, "")
        assert text.contents == [
            Heading(2, "user-content-one-two", "One two"),
            Heading(3, "user-content-deep", "Deep"),
        ]

    def test_code_can_be_scrolled_by_the_keyboard(self):
        assert '<pre tabindex="0"><code>' in prepared("```python\nx = 1\n```")
        assert '<pre tabindex="0"><code>' in prepared("    x = 1\n")

    def test_a_table_scrolls_alone_and_has_no_empty_heading(self):
        html = prepared("| | b |\n|:-|-:|\n| 1 | 2 |")
        assert '<div class="scroll" tabindex="0"><table>' in html
        assert '<td align="left"></td>' in html

    def test_images_load_when_they_are_reached(self):
        assert 'src="https://example.com/a.png" alt="A" loading="lazy"' in prepared(
            "![A](https://example.com/a.png)"
        )

    def test_an_image_that_nobody_can_load_is_words(self):
        assert prepared("![A boat](image/boat.png)") == '<p><span class="image">A boat</span></p>\n'

    def test_the_time_to_read_counts_words_and_characters(self):
        assert prepare(render("word " * 460).html, "").minutes == 2
        assert prepare(render("字" * 1200).html, "").minutes == 3
        assert prepare("", "").minutes == 1

    def test_links_between_files_lead_to_articles(self):
        html = render("[a](cache.md#keys) [b](gone.md) [c](https://example.com) [d](#x)").html
        body = prepare(html, "", {"cache.md": "/articles/guide-cache"}.get).html
        assert '<a href="/articles/guide-cache#user-content-keys">a</a>' in body
        assert "gone.md" not in body
        assert 'href="https://example.com"' in body
        assert 'href="#user-content-x"' in body


@pytest.mark.parametrize(
    "path, slug, known, found",
    [
        ("cache.md", "guide-auth", {"guide-cache", "cache"}, "guide-cache"),
        ("../benchmark/cache.md", "guide-auth", {"benchmark-cache"}, "benchmark-cache"),
        ("guide/cache.md", "architecture", {"guide-cache"}, "guide-cache"),
        ("rate%20limit.md", "guide-auth", {"guide-rate-limit"}, "guide-rate-limit"),
        ("cache.py", "guide-auth", {"guide-cache"}, None),
        ("../../../etc/passwd", "guide-auth", {"etc-passwd"}, None),
    ],
)
def test_a_relative_link_means_the_nearest_file(path, slug, known, found):
    assert choose(path, slug, [""], known) == found


def test_a_link_prefers_the_language_of_its_text():
    assert slugs_for("cache.md", "a-zh", ["-zh", ""])[:2] == ["a-zh-cache-zh", "a-zh-cache"]
