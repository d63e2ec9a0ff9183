"""Writes the pages that repeat what the code says: settings, errors, permissions, reference.

    python docs/generate.py

On the pages about settings, errors and permissions it renews what stands between the two marks;
the reference pages it writes whole. All are committed, because `make run` imports them as sample
articles without building anything; a test fails where they differ from what this script writes.
"""  # noqa: INP001  a script, not a module of the application

from __future__ import annotations

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import app.main  # noqa: E402, F401  with it every slice has declared its errors
from app.core.config import Settings  # noqa: E402  after sys.path
from app.core.permission import ROLES, Role  # noqa: E402  after sys.path
from strongback.auth.permission import Permission, permissions_of  # noqa: E402  after sys.path
from strongback.exceptions import CATALOGUE, APIException  # noqa: E402  after sys.path
from strongback.web.translation import Translations  # noqa: E402  after sys.path

DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "strongback"
TRANSLATIONS = Translations(PACKAGE / "translation", *(ROOT / "app").glob("*/translation"))
CHINESE = tomllib.loads((DOCS / "generate.zh.toml").read_text())
BEGIN = "<!-- Written by docs/generate.py: change the code, then run it. -->\n"
END = "<!-- End of what docs/generate.py writes. -->\n"

Text = dict[str, str]
"""One text in each language."""

# Settings ----------------------------------------------------------------------------------------

SETTING_GROUPS: dict[str, Text] = {
    "app": {"en": "Application", "zh": "应用"},
    "web": {"en": "Web server", "zh": "Web 服务器"},
    "auth": {"en": "Sessions", "zh": "会话"},
    "prometheus": {"en": "Metrics", "zh": "指标"},
    "database": {"en": "Database", "zh": "数据库"},
    "redis": {"en": "Redis", "zh": "Redis"},
    "cache": {"en": "Cache", "zh": "缓存"},
    "sms": {"en": "SMS", "zh": "短信"},
    "realtime": {"en": "Realtime", "zh": "实时消息"},
    "mail": {"en": "Mail", "zh": "邮件"},
    "meili": {"en": "Search", "zh": "搜索"},
    "task": {"en": "Tasks", "zh": "任务"},
    "file": {"en": "Files", "zh": "文件"},
    "notification": {"en": "Notifications", "zh": "通知"},
    "log": {"en": "Logs", "zh": "日志"},
}
SAME_GROUP = {
    "mysql": "database",
    "sqlite": "database",
    "celery": "task",
    "flower": "task",
    "ws": "realtime",
    "centrifugo": "realtime",
}
SETTING_HEAD: Text = {
    "en": "| Variable | Type | Default | Meaning |\n|---|---|---|---|\n",
    "zh": "| 变量 | 类型 | 默认值 | 含义 |\n|---|---|---|---|\n",
}
TYPES: dict[str, Text] = {
    "integer": {"en": "integer", "zh": "整数"},
    "number": {"en": "number", "zh": "数"},
    "boolean": {"en": "`true` or `false`", "zh": "`true` 或 `false`"},
    "string": {"en": "text", "zh": "文本"},
    "path": {"en": "path", "zh": "路径"},
    "password": {"en": "secret", "zh": "机密"},
    "array": {"en": "list, separated by commas", "zh": "列表，以逗号分隔"},
}
RANGES: dict[tuple[bool, bool], Text] = {
    (True, False): {"en": ", {minimum:,} to {maximum:,}", "zh": "，{minimum:,} 至 {maximum:,}"},
    (False, True): {
        "en": ", above {exclusiveMinimum:,}, at most {maximum:,}",
        "zh": "，大于 {exclusiveMinimum:,}，至多 {maximum:,}",
    },
}


def settings_tables(language: str) -> str:
    """Every setting, grouped by its prefix."""
    schema = Settings.model_json_schema()
    groups: dict[str, list[str]] = defaultdict(list)
    for name, facts in schema["properties"].items():
        prefix = name.split("_")[0]
        row = _setting_row(name, facts, schema["$defs"], language)
        groups[SAME_GROUP.get(prefix) or prefix].append(row)
    return "\n".join(
        f"## {_title(SETTING_GROUPS, prefix, language)}\n\n{SETTING_HEAD[language]}{''.join(rows)}"
        for prefix, rows in groups.items()
    )


def _setting_row(name: str, facts: dict[str, Any], defs: dict[str, Any], language: str) -> str:
    kind = next((part for part in facts.get("anyOf", ()) if part != {"type": "null"}), facts)
    meaning = _translated("settings", facts["description"], language)
    cells = (f"`{name.upper()}`", _type(kind, defs, language), _default(facts["default"]), meaning)
    return f"| {' | '.join(cells)} |\n"


def _type(kind: dict[str, Any], defs: dict[str, Any], language: str) -> str:
    if "$ref" in kind:
        values = defs[kind["$ref"].rpartition("/")[2]]["enum"]
        return ", ".join(f"`{value}`" for value in values)
    name = TYPES[kind.get("format", kind["type"])][language]
    limits = RANGES.get(("minimum" in kind, "exclusiveMinimum" in kind))
    return name + limits[language].format(**kind) if limits else name


def _default(value: object) -> str:
    if value in (None, "", [], ()):
        return "—"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    # A path is shown as it would be written, a secret not at all.
    text = str(value).removeprefix(f"{ROOT}/")
    return "`***`" if set(text) == {"*"} else f"`{text}`"


# Errors ------------------------------------------------------------------------------------------

ERROR_HEAD: Text = {
    "en": "| `error_code` | Class | Message | When |\n|---|---|---|---|\n",
    "zh": "| `error_code` | 类 | 消息 | 何时 |\n|---|---|---|---|\n",
}
ERROR_GROUPS: dict[int, Text] = {
    1: {"en": "The framework", "zh": "框架"},
    2: {"en": "Users", "zh": "用户"},
    3: {"en": "Articles", "zh": "文章"},
    4: {"en": "Comments", "zh": "评论"},
}
UNFORESEEN = "What nobody foresaw: the log has the whole traceback, the answer nothing of it."


def errors_tables(language: str) -> str:
    """Every error of the catalogue, in both languages."""
    groups: dict[int, list[str]] = defaultdict(list)
    for number, cls in sorted(CATALOGUE.items()):
        if not cls.__module__.startswith(("strongback.", "app.")):
            continue  # a test's own
        groups[number // 10000].append(_error_row(number, cls, language))
    return "\n".join(
        f"## {_title(ERROR_GROUPS, family, language)}\n\n{ERROR_HEAD[language]}{''.join(rows)}"
        for family, rows in groups.items()
    )


def _error_row(number: int, cls: type[APIException], language: str) -> str:
    meaning = _translated("errors", (cls.__doc__ or "").split("\n\n")[0], language)
    if cls is APIException and language == "en":
        meaning = UNFORESEEN
    messages = f"{cls.message}<br>{TRANSLATIONS.translate(cls.message, 'zh')}"
    return f"| {number} | {cls.code} `{cls.__name__}` | {messages} | {meaning} |\n"


# Permissions -------------------------------------------------------------------------------------

PERMISSION_HEAD: Text = {"en": "| Permission | Allows |", "zh": "| 权限 | 允许 |"}


def permissions_table(language: str) -> str:
    """Every permission, and which roles allow it."""
    roles = list(reversed(Role))
    names = "".join(f" `{role}` |" for role in roles)
    rows = "".join(
        _permission_row(permission, roles, language) for permission in permissions_of(ROLES)
    )
    return f"{PERMISSION_HEAD[language]}{names}\n|---|---|{':-:|' * len(roles)}\n{rows}"


def _permission_row(permission: Permission, roles: list[Role], language: str) -> str:
    meaning = _translated("permissions", permission.description, language)
    marks = "".join(" ✓ |" if permission in ROLES[role] else " |" for role in roles)
    return f"| `{permission}` | {meaning} |{marks}\n"


# Reference ---------------------------------------------------------------------------------------

REFERENCE_TITLES: dict[str, Text] = {
    "core": {"en": "Reference: the framework's own modules", "zh": "参考：核心模块"},
    "": {"en": "Reference: `{package}`", "zh": "参考：`{package}`"},
}
REFERENCE_INTRO: Text = {
    "en": "What each module is for. On the documentation site, every module's classes and"
    " functions follow it, taken from their docstrings; `make docs` builds the site.",
    "zh": "各模块的用途。在文档站点上，每个模块之后列出其类与函数，内容取自代码中的英文文档"
    "字符串；`make docs` 构建该站点。",
}


def reference_pages() -> dict[str, list[str]]:
    """The modules of each page: a package of the framework, or its loose modules together."""
    pages: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        if not (path.parent / "__init__.py").exists():  # a revision, which Alembic loads by path
            continue
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        page = parts[1] if path.parent != PACKAGE else "core"
        pages[page].append(module)
    return pages


def reference_page(page: str, modules: list[str], language: str) -> str:
    """What each module is for; the site's hook adds its members below its heading."""
    title = REFERENCE_TITLES.get(page, REFERENCE_TITLES[""])[language]
    parts = [
        f"# {title.format(package=f'strongback.{page}')}\n\n{BEGIN}\n{REFERENCE_INTRO[language]}\n"
    ]
    for module in modules:
        path = PACKAGE.parent.joinpath(*module.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        purpose = (ast.get_docstring(ast.parse(source.read_text())) or "").split("\n\n")[0]
        text = " ".join(purpose.split())
        if language == "zh":
            text = CHINESE["modules"].get(text, text)
        parts.append(f"## `{module}`\n\n{text}\n")
    return "\n".join(parts)


# All ---------------------------------------------------------------------------------------------


def _title(groups: dict[Any, Text], key: str | int, language: str) -> str:
    if key not in groups:
        sys.exit(f"docs/generate.py: give the group {key!r} a title, beside those of {[*groups]}")
    return groups[key][language]


def _translated(section: str, text: str, language: str) -> str:
    text = " ".join(text.split())
    if language == "en":
        return text
    try:
        return str(CHINESE[section][text])
    except KeyError:
        sys.exit(f'docs/generate.zh.toml: [{section}] has no Chinese for "{text}"')


TABLES: dict[str, Callable[[str], str]] = {
    "settings": settings_tables,
    "errors": errors_tables,
    "permission": permissions_table,
}
"""What each page of the guide has between its marks."""


def pages() -> dict[Path, str]:
    """The text of every generated page."""
    written: dict[Path, str] = {}
    for language, suffix in (("en", ".md"), ("zh", ".zh.md")):
        for name, tables in TABLES.items():
            path = DOCS / "guide" / f"{name}{suffix}"
            written[path] = _renewed(path.read_text(), tables(language))
        for page, modules in reference_pages().items():
            path = DOCS / "reference" / f"{page}{suffix}"
            written[path] = reference_page(page, modules, language)
    return written


def _renewed(text: str, tables: str) -> str:
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{tables}\n{END}{tail}"


def main() -> None:
    """Write the pages, and remove the reference pages of packages that are gone."""
    wanted = pages()
    for path in set((DOCS / "reference").glob("*.md")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    sys.stdout.write(f"Wrote {len(wanted)} pages.\n")


if __name__ == "__main__":
    main()
