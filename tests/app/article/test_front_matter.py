from __future__ import annotations

import pytest

from app.article.front_matter import MAX_BYTES, split_front_matter
from app.article.source import Refusal


def reason(text: str) -> str:
    with pytest.raises(Refusal) as caught:
        split_front_matter(text)
    return str(caught.value)


class TestForms:
    @pytest.mark.parametrize(
        "text",
        [
            "---\ntitle: T\n---\nText",
            "--- \ntitle: T\n---\t\nText",
            "---\r\ntitle: T\r\n---\r\nText",
            "---\rtitle: T\r---\rText",
            "\n\n---\ntitle: T\n---\nText",
            "---\ntitle: T\n...\nText",
            "---\ntitle:\tT\n---\nText",
            '---\ntitle:\n\t"T"\n---\nText',
            "title: T\n---\nText",
            "title: T\r\n---\r\nText",
            "+++\ntitle = 'T'\n+++\nText",
            '{"title": "T"}\nText',
            '{\n  "title": "T"\n}\nText',
            ';;;\n"title": "T"\n;;;\nText',
            '"title": "T"\n;;;\nText',
        ],
    )
    def test_of_each_generator_are_read(self, text):
        assert split_front_matter(text) == ({"title": "T"}, "Text")

    @pytest.mark.parametrize(
        "text",
        [
            "author: A\npermalink: a/b\ntitle: T\n---\nText",
            "author: A\nother:\n  a: b\ndraft: true\n---\nText",
        ],
    )
    def test_of_hexo_may_begin_with_any_key_without_a_first_line(self, text):
        assert split_front_matter(text)[1] == "Text"

    def test_of_hexo_may_have_lists_and_comments_without_a_first_line(self):
        text = "title: T\n# a comment\ntags:\n- a\n  - b\n\ndate: 2014-12-02\n---\nText"
        assert split_front_matter(text)[1] == "Text"

    @pytest.mark.parametrize("text", ["---\n---\nText", "---\n# nothing\n---\nText"])
    def test_may_be_empty(self, text):
        assert split_front_matter(text) == ({}, "Text")

    def test_end_at_the_end_of_the_file(self):
        assert split_front_matter("---\ntitle: T\n---") == ({"title": "T"}, "")

    def test_end_at_the_first_rule(self):
        assert split_front_matter("---\ntitle: T\n---\na\n\n---\nb")[1] == "a\n\n---\nb"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "---\n",
            "---\nText",
            "--- \nText\n---",
            "----\na: b\n---\n",
            " ---\na: b\n---\n",
            "Text\n---\na: b\n---\n",
            "---\nText only\n---\nMore",
            "---\n- a\n---\nMore",
            "+++\n",
            "Part one: the sea\n---\nA heading with a line below it.",
            "title: A line\nof a text\n---\nMore",
            "title: nothing below",
            '{"title": "T"} is JSON',
            "{% include a %}\nText",
            '"title": "T"\nText',
            "---\n" + "Text. " * MAX_BYTES + "\n---\nMore",
        ],
        ids=lambda text: repr(text[:30]),
    )
    def test_are_not_seen_in_a_text(self, text):
        facts, body = split_front_matter(text)
        assert facts == {}
        assert (body[:50], len(body)) == (text[:50], len(text))


class TestValues:
    def test_are_kept_as_they_are_written(self):
        text = "---\na: 2024\nb: no\nc: 1.10\nd: 12:30\ne: 2026-01-15\nf: 007\n---\n"
        assert split_front_matter(text)[0] == {
            "a": "2024",
            "b": "no",
            "c": "1.10",
            "d": "12:30",
            "e": "2026-01-15",
            "f": "007",
        }

    @pytest.mark.parametrize("value", ["", "~", "null", "''", "' '"])
    def test_that_are_empty_are_left_out(self, value):
        assert split_front_matter(f"---\ntitle: {value}\n---\nText")[0] == {}

    def test_in_a_list_may_be_indented_by_tabs(self):
        text = '---\ntags: [\n\t\t"a",\n\tb\n]\n---\nText'
        assert split_front_matter(text)[0] == {"tags": ["a", "b"]}

    def test_are_found_by_the_key_in_lower_case(self):
        text = "---\npublishDate: 2026-01-15\n---\nText"
        assert split_front_matter(text)[0] == {"publishdate": "2026-01-15"}


class TestRefusal:
    @pytest.mark.parametrize(
        "value",
        [
            "!!timestamp foo",
            "!!int ''",
            "!!bool foo",
            "!!float x",
            "!!binary '*'",
            "!!python/object/apply:os.system [id]",
            "&a [1]",
            "*a",
        ],
    )
    def test_of_tags_anchors_and_aliases_names_the_line(self, value):
        why = reason(f"---\ntitle: T\nany: {value}\n---\nText")
        assert "anchors, aliases, merge keys and tags" in why
        assert "line 3" in why

    def test_of_a_merge_key_comes_before_it_does_its_work(self):
        lines = ["a: &a {x: 1}"] + [f"<<: [*a, *a] # {n}" for n in range(27)]
        assert "merge keys" in reason("---\n" + "\n".join(lines) + "\n---\n")
        assert "merge keys" in reason("---\n<<: {a: 1}\n---\n")

    def test_of_an_alias_bomb(self):
        lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
        lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
        assert "line 2" in reason("---\n" + "\n".join(lines) + "\n---\nText")

    @pytest.mark.parametrize(
        "text, expected",
        [
            ("---\ntitle: a: b\n---\n", "a second colon, line 2: put a value"),
            ("\n---\ntitle: [a] b\n---\n", "no YAML from line 3 on: put a value"),
            ("---\ntitle: {{ title }}\n---\n", "a key that is a list or a mapping, line 2: put"),
            ("title: a: b\n---\n", "line 1: put a value"),
            ("---\ntitle: T\na: `x`\n---\n", "begins with @ ` or %, line 3: put it into quotes"),
            ("---\ntitle: T\n\ta: x\n---\n", "a tab, line 3: indent with blanks"),
            ("---\ntitle: 'T\na: b\n---\n", "a quote, [ or { that is not closed, line 2: close"),
            ("---\ntitle: T\na: [b\nc: d\n---\n", "that is not closed, line 3: close it"),
            (
                '---\ntitle: "C:\\my"\n---\n',
                "a \\ that escapes nothing, line 2: write \\\\, or put",
            ),
            ("+++\ntitle = x\n+++\n", "Invalid value (at line 2"),
            ('{\n "title": x\n}\n', "Expecting value: line 2"),
            ('"title": x\n;;;\n', "Expecting value"),
            ("---\ntitle: T\nText", "it has no end: write --- below it"),
            ("+++\ntitle = 'T'\nText", "it has no end: write +++ below it"),
            ("---\nauthor: A\r\n\r\ndraft: true\nText", "it has no end"),
            ("+++\nauthor = 'A'\ndraft = true\nText", "it has no end"),
            ("---\na: \x00\n---\n", "U+0000, which nobody sees, line 2: leave it out"),
            ('---\na: "\\UFFFFFFFF"\n---\n', "escapes nothing, line 2: write"),
        ],
    )
    def test_says_what_is_wrong_and_where(self, text, expected):
        assert expected in reason(text)

    @pytest.mark.parametrize(
        "text",
        [
            "---\ntitle: T\na: " + "x" * MAX_BYTES + "\n---\n",
            "---\nauthor: A\ndraft: true\na: " + "x" * MAX_BYTES + "\n---\n",
            "+++\ntitle = 'T'\na = '" + "x" * MAX_BYTES + "'\n+++\n",
            '{"title": "' + "x" * MAX_BYTES + '"}\n',
            ';;;\n"title": "' + "x" * MAX_BYTES + '"\n;;;\n',
            "---\ntitle: " + "字" * (MAX_BYTES // 3) + "\n---\n",
        ],
        ids=lambda text: text[:10],
    )
    def test_of_what_is_larger_than_16_kib(self, text):
        assert "larger than 16 KiB" in reason(text)

    @pytest.mark.parametrize(
        "text",
        [
            "---\na: " + "[" * 5000 + "]" * 5000 + "\n---\n",
            "+++\na = " + "[" * 5000 + "]" * 5000 + "\n+++\n",
            '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n",
        ],
        ids=lambda text: text[:3],
    )
    def test_of_what_is_nested_too_deeply(self, text):
        assert "nested too deeply" in reason(text)
