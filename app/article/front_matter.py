"""Front matter: what a file says of itself above its text, in the forms of the site generators.

---  YAML  ---    Jekyll, Hexo, Hugo, Obsidian, VitePress; `...` may end it as well
     YAML  ---    Hexo, which lets the first line go
+++  TOML  +++    Hugo
{    JSON  }      Hugo
;;;  JSON  ;;;    Hexo, without braces; the first line may go here too
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

from app.article.source import Refusal

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 16 * 1024
"""Bytes of front matter: far more than anybody writes, and little for the slowest parser."""
MAX_DEPTH = 64
"""Lists in lists, and the like."""

Facts = dict[str, Any]
"""What the keys say, by their names in lower case; a key without a value is left out."""

# Atomic and possessive: a line end of two characters that might also be two line ends would be
# tried both ways, in as many combinations as there are blank lines.
_LINE_END = r"(?>\r\n|\n|\r)"
_OPENING = re.compile(rf"(?:[ \t]*+{_LINE_END})*+(---|\+\+\+|;;;)[ \t]*+{_LINE_END}")
_CLOSING = {
    mark: re.compile(rf"(?:^|(?<=\r))(?:{ending})[ \t]*(?:{_LINE_END}|\Z)", re.MULTILINE)
    for mark, ending in (("---", r"---|\.\.\."), ("+++", r"\+\+\+"), (";;;", ";;;"))
}
# With one of these among its first keys a block is front matter and no text by chance.
_KEY = re.compile(
    r'\s*+(?:"?[\w-]++"?[ \t]*+[:=][^\r\n]*+\s++)*?'
    r'"?(?:title|date|layout|tags|categories|draft|published|slug)"?[ \t]*+[:=]',
    re.IGNORECASE,
)
_YAML_LINE = re.compile(r"[A-Za-z_][\w-]*[ \t]*:(?:[ \t]|$)|[ \t]+\S|-[ \t]|#|$")
_JSON_OBJECT = re.compile(r'\{\s*"[\w-]+"\s*:')
# YAML takes tabs but where they indent a key, as all other parsers do; PyYAML takes none.
_INNER_TABS = re.compile(r"(?<=[^\t\r\n])\t+|^\t++(?![^\s:]+[ \t]*:)", re.MULTILINE)
_INDIRECTION = re.compile(r"[&*!]|<<")
_BRACKET = re.compile(r"[\[\]{}]")
_REST_OF_LINE = re.compile(rf"[ \t]*(?:{_LINE_END}|\Z)")


def split_front_matter(text: str) -> tuple[Facts, str]:
    """Take the front matter, if there is any, off a text.

    Raises:
        Refusal: It is broken, has no end, or is larger than 16 KiB.
    """
    if opening := _OPENING.match(text):
        return _split(text, opening[1], opening.end())
    if _JSON_OBJECT.match(text):
        return _split_object(text)
    if _KEY.match(text):
        return _split_unopened(text)
    return {}, text


def _split(text: str, mark: str, start: int) -> tuple[Facts, str]:
    closing = _CLOSING[mark].search(text, start)
    if _KEY.match(text, start):
        if closing is None:
            raise Refusal("bad front matter: it has no end: write {mark} below it", mark=mark)
    elif closing is None or _is_large(text[start : closing.start()]):
        return {}, text  # a text may well begin with a rule
    block = text[start : closing.start()]
    _require_small(block)
    found = _parse(_PARSERS[mark], block, lines_above=text.count("\n", 0, start))
    # Between two rules there may be text: without a mapping it is none of the front matter.
    return ({}, text) if found is None else (_facts(found), text[closing.end() :])


def _split_object(text: str) -> tuple[Facts, str]:
    found, end = _parse(json.JSONDecoder(**_AS_WRITTEN).raw_decode, text)
    _require_small(text[:end])
    rest = _REST_OF_LINE.match(text, end)
    return (_facts(found), text[rest.end() :]) if rest else ({}, text)


def _split_unopened(text: str) -> tuple[Facts, str]:
    """Hexo's forms without a first line."""
    mark = ";;;" if text.lstrip().startswith('"') else "---"
    closing = _CLOSING[mark].search(text, 0, MAX_BYTES)
    if closing is None:
        return {}, text
    block = text[: closing.start()]
    if mark == "---" and not all(map(_YAML_LINE.match, block.splitlines())):
        return {}, text  # a heading, with a line of hyphens below it
    _require_small(block)
    return _facts(_parse(_PARSERS[mark], block)), text[closing.end() :]


def _facts(found: Any) -> Facts:  # noqa: ANN401  a mapping of whatever was written
    named = ((str(key).lower(), value) for key, value in found.items())
    return {name: value for name, value in named if value is not None and not _is_blank(value)}


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


# Parsers


def _parse(
    parse: Callable[[str], Any], block: str, lines_above: int = 0
) -> Any:  # noqa: ANN401  JSON's types
    """Parse a block, and say what is wrong with it in the lines of the whole file."""
    try:
        return parse("\n" * lines_above + block)
    except RecursionError:
        raise Refusal("bad front matter: nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise Refusal("bad front matter: {problem}: put texts into quotes", problem=error) from None


def _is_large(block: str) -> bool:
    return len(block.encode()) > MAX_BYTES


def _require_small(block: str) -> None:
    if _is_large(block):
        raise Refusal("bad front matter: larger than 16 KiB: write long texts below it")


def _parse_yaml(block: str) -> dict[Any, Any] | None:
    import yaml  # noqa: PLC0415  a start that imports nothing should not pay for it

    block = _INNER_TABS.sub(" ", block)
    # Whatever quotes there are: PyYAML looks at all open brackets again at each word.
    steps = (1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(block))
    if max(accumulate(steps), default=0) > MAX_DEPTH:
        raise RecursionError
    try:
        if _INDIRECTION.search(block):  # mostly not, and looking closely takes as long as parsing
            _refuse_indirection(block)
        found = yaml.load(block, _text_loader())  # noqa: S506  a safe loader
    except yaml.YAMLError as error:
        raise _bad_yaml(error, block) from None
    except (ValueError, OverflowError):  # PyYAML's of "\UFFFFFFFF", without a mark
        line = block.count("\n", 0, block.find("\\U")) + 1
        raise Refusal(_ESCAPE, line=line) from None
    return {} if found is None else found if isinstance(found, dict) else None


def _refuse_indirection(block: str) -> None:
    """Refuse what front matter needs not and parsers do much for: a merge key doubles a line."""
    import yaml  # noqa: PLC0415  as above

    kinds = (yaml.AnchorToken, yaml.AliasToken, yaml.TagToken)
    for token in yaml.scan(block, yaml.SafeLoader):
        is_merge = isinstance(token, yaml.ScalarToken) and token.plain and token.value == "<<"
        if is_merge or isinstance(token, kinds):
            raise Refusal(
                "bad front matter: no anchors, aliases, merge keys and tags are taken, line {line}:"
                " put a value that begins with & * or ! into quotes",
                line=token.start_mark.line + 1,
            )


@cache
def _text_loader() -> type[yaml.SafeLoader]:
    """A loader that leaves scalars as they are written.

    `title: 2024`, `title: no` and `tags: [1.10]` are words to whoever wrote them, and what a date
    or a switch may look like is known by the key.
    """
    import yaml  # noqa: PLC0415  as above

    class TextLoader(yaml.SafeLoader):
        def construct_text(self, node: yaml.ScalarNode) -> object:
            return self.construct_scalar(node)

    for kind in ("bool", "int", "float", "timestamp", "value"):
        TextLoader.add_constructor(f"tag:yaml.org,2002:{kind}", TextLoader.construct_text)
    return TextLoader


def _bad_yaml(error: yaml.YAMLError, block: str) -> Refusal:
    import yaml  # noqa: PLC0415  as above

    if isinstance(error, yaml.reader.ReaderError):
        return Refusal(
            "bad front matter: the character {code}, which nobody sees, line {line}: leave it out",
            code=f"U+{error.character:04X}",
            line=block.count("\n", 0, error.position) + 1,
        )
    marked = cast("yaml.MarkedYAMLError", error)
    problem, opening = marked.problem or "", marked.context_mark
    reason = next((said for begin, said in _YAML_REASONS if problem.startswith(begin)), _NO_YAML)
    # What is not closed is noticed at the end; whoever mends it looks for its beginning.
    mark = opening if reason is _NOT_CLOSED and opening else marked.problem_mark
    return Refusal(reason, line=mark.line + 1 if mark else 1)


_COLON = (
    "bad front matter: a second colon, line {line}: put a value with : in it into quotes, and begin"
    " all keys in the same column"
)
_COMPLEX_KEY = (
    "bad front matter: a key that is a list or a mapping, line {line}: put a value with {{ or [ in"
    " it into quotes"
)
_ESCAPE = (
    "bad front matter: a \\ that escapes nothing, line {line}: write \\\\, or put the value into"
    " single quotes"
)
_NOT_CLOSED = (
    "bad front matter: a quote, [ or {{ that is not closed, line {line}: close it, or put the whole"
    " value into quotes"
)
_RESERVED = "bad front matter: a value that begins with @ ` or %, line {line}: put it into quotes"
_TAB = "bad front matter: a tab, line {line}: indent with blanks"
_NO_YAML = (
    "bad front matter: no YAML from line {line} on: put a value with : # {{ [ or a quote in it into"
    " quotes, and indent with blanks"
)
_YAML_REASONS = (
    ("mapping values are not allowed here", _COLON),
    ("found unhashable key", _COMPLEX_KEY),
    ("found unknown escape character", _ESCAPE),
    ("expected escape sequence", _ESCAPE),
    ("found unexpected end of stream", _NOT_CLOSED),
    ("expected ',' or", _NOT_CLOSED),
    ("found character '\\t'", _TAB),
    ("found character", _RESERVED),
)
"""What PyYAML's words come to, for who has written the file and knows no tokens and nodes."""


def _parse_toml(block: str) -> dict[str, Any]:
    # The standard library's parser walks a dotted key from its start at each dot.
    if any(line.partition("=")[0].count(".") > MAX_DEPTH for line in block.splitlines()):
        raise RecursionError
    return tomllib.loads(block, parse_float=str)


def _parse_members(block: str) -> Any:  # noqa: ANN401  whatever the JSON holds
    return json.loads(f"{{{block}}}", **_AS_WRITTEN)


_AS_WRITTEN: dict[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": str}
_PARSERS: dict[str, Callable[[str], Any]] = {
    "---": _parse_yaml,
    "+++": _parse_toml,
    ";;;": _parse_members,
}
