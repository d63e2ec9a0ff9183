from __future__ import annotations

import pytest

from app.article.markdown import render


@pytest.mark.parametrize(
    "body, html",
    [
        ("**注意：**后文", "<strong>注意：</strong>后文"),
        ("前文**（注意）**后文", "前文<strong>（注意）</strong>后文"),
        ("**“注意”**后文", "<strong>“注意”</strong>后文"),
        ("这是**`code`**的", "这是<strong><code>code</code></strong>的"),
        ("*注意。*后文", "<em>注意。</em>后文"),
        ("~~删除。~~后文", "<s>删除。</s>后文"),
        ("a**あ、**b", "a<strong>あ、</strong>b"),
        ("**これは「太字」**です", "<strong>これは「太字」</strong>です"),
        (
            "**이 [링크](x)**만",
            '<strong>이 <a href="x" rel="noopener noreferrer nofollow">링크</a></strong>만',
        ),
        ("***注意：***后文", "<em><strong>注意：</strong></em>后文"),
        ("**葛\U000e0100。**后", "<strong>葛\U000e0100。</strong>后"),
    ],
)
def test_emphasis_beside_cjk_punctuation_is_found(body, html):
    assert render(body).html == f"<p>{html}</p>\n"


@pytest.mark.parametrize(
    "body",
    ['a*"foo"*', "** 注意 **后", "**注意： **后文", "_注_意", "foo_bar_", 'a**"b"**c', "**a.**b"],
)
def test_what_commonmark_leaves_alone_elsewhere_stays_text(body):
    html = render(body).html
    assert "<em>" not in html
    assert "<strong>" not in html


@pytest.mark.parametrize(
    "body, html",
    [
        ("**a**b", "<strong>a</strong>b"),
        ("_a_ b", "<em>a</em> b"),
        ("*a*。", "<em>a</em>。"),
        ("**“a”** b", "<strong>“a”</strong> b"),
    ],
)
def test_what_commonmark_finds_is_found(body, html):
    assert render(body).html == f"<p>{html}</p>\n"
