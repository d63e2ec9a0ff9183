from __future__ import annotations

import pytest

from app.article.markdown import render
from app.article.nesting import is_costly

FORMATTING = "".join(f"<b title={number}>" for number in range(300))


class TestWhatIsCostly:
    @pytest.mark.parametrize(
        "html",
        [
            "<div>" * 3_000,
            "<p>" + FORMATTING + "<p>x" * 1_000,
            f'<p><a title="{"y" * 10_000}">' + "<p>x" * 1_000,
            "<table><tr><td>" * 2_000,
            "<dd><li>" * 2_000,
            '<b title="</b>">' * 2_000 + "<p>x" * 200,
            "<b><!-- > </b> --><p>" * 2_000,
            '<b ==">\n</b>">' * 1_000 + "<p>x" * 200,
            "<div><table><td></div>" * 1_500,
            "<b><textarea></b></textarea>" * 1_000 + "<p>x" * 200,
            "<b><script><!--<script></script></b></script>--></script><p>" * 2_000,
            "<svg><b></b></svg>" * 2_000,
            "</><b>" * 2_000 + "<p>x" * 1_000,
        ],
    )
    def test_elements_that_stay_open(self, html):
        assert is_costly(html)

    @pytest.mark.parametrize(
        "html",
        [
            "",
            "a < b",
            "<",
            "</",
            "<div",
            "<!--" + "<div>" * 3_000,
            "<ul>" + "<li>a" * 5_000,
            "<p>a" * 5_000,
            "<table>" + "<tr><td>a<th>b" * 5_000,
            "<dl>" + "<dt>a<dd>b" * 5_000,
            "<details><summary>a</summary><p>b</details>" * 5_000,
            "<a href='x'><b>a</b></a><br>" * 5_000,
            "<!-- a <b> --><i>x</i>" * 5_000,
            "<iframe src=x><p></iframe>" * 5_000,
            '<a title="a > b">x</a>' * 5_000,
            "<a href=x?y=z>x</a>" * 5_000,
            "<font color=red>" + "<p>x</p>" * 5_000 + "</font>",
        ],
    )
    def test_not_what_is_long_or_leaves_out_what_may_be(self, html):
        assert not is_costly(html)


def test_costly_html_is_shown_as_text():
    html = render("<div>" * 3_000 + "\n\n**a**").html
    assert html.startswith("<p>&lt;div&gt;")
    assert html.endswith("<p><strong>a</strong></p>\n")


def test_a_text_never_becomes_many_times_its_length():
    body = "<p>" + FORMATTING + "\n\n" + "x\n\n" * 5_000
    assert len(render(body).html) < 10 * len(body)
