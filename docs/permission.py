"""Writes the table of roles and permissions into the guide.

    python docs/permission.py

It renews what stands between the two marks on both pages; a test fails where they differ from
what this script writes.
"""  # noqa: INP001  a script, not a module of the application

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.core.auth.permission import MATRIX, Permission, Role  # noqa: E402

BEGIN = "<!-- Written by docs/permission.py: change the code, then run it. -->\n"
END = "<!-- End of what docs/permission.py writes. -->\n"
HEAD = {"en": ("Permission", "Allows"), "zh": ("权限", "允许")}
CHINESE = {
    "See one's own account and sessions.": "查看自己的账号和会话。",
    "Change one's own account, password and sessions.": "修改自己的账号、密码和会话。",
    "Comment, and delete one's own comments.": "发表评论，删除自己的评论。",
    "Like articles.": "点赞文章。",
    "Write articles, and change one's own.": "写文章，修改自己的文章。",
    "Change anybody's articles.": "修改任何人的文章。",
    "Delete anybody's comments.": "删除任何人的评论。",
    "Give roles, and disable accounts.": "授予角色，停用账号。",
}


def permission_table(language: str) -> str:
    """Every permission, and which roles allow it."""
    roles = list(reversed(Role))
    first, second = HEAD[language]
    names = " | ".join(f"`{role}`" for role in roles)
    lines = [f"| {first} | {second} | {names} |", "|---|---|" + ":-:|" * len(roles)]
    lines += [_row(permission, roles, language) for permission in Permission]
    return "\n".join(lines) + "\n"


def _row(permission: Permission, roles: list[Role], language: str) -> str:
    text = permission.description
    meaning = text if language == "en" else CHINESE[text]
    marks = " | ".join("✓" if permission in MATRIX[role] else "" for role in roles)
    return f"| `{permission}` | {meaning} | {marks} |"


def pages() -> dict[Path, str]:
    """The text of each page, with its table as the code has it."""
    found = {}
    for language, suffix in (("en", ".md"), ("zh", ".zh.md")):
        path = ROOT / "docs" / "guide" / f"permission{suffix}"
        head, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, _, tail = rest.partition(END)
        found[path] = f"{head}{BEGIN}\n{permission_table(language)}\n{END}{tail}"
    return found


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
