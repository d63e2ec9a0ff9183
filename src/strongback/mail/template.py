"""Templates of messages: text and HTML, in the language of the person, by Jinja.

A message `NAME` has two templates. The first line of `NAME.txt` is the subject:

    {% extends "layout.txt" %}
    {% block subject %}{{ _("{who} has commented", who=actor) }}{% endblock %}
    {% block body %}...{% endblock %}

and `NAME.html` extends `layout.html`. What is in `_()` is looked up in the catalogues of the slices
and the framework. There is no request: addresses come from the data, never from a `Host` header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context

from strongback.collision import Names
from strongback.exceptions import ConfigurationError
from strongback.schema import utc

FOLDER = Path(__file__).with_name("layout")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The parts of a message."""

    subject: str
    text: str
    html: str


class MailTemplates:
    """The templates of an application.

    Args:
        translate: Returns a message in a locale.
        facts: What every template knows: `title`, `url`.
    """

    def __init__(self, translate: Callable[[str, str], str], facts: Mapping[str, str]) -> None:
        self._folders: list[Path] = []
        self._names = Names("mail template")
        self._loader = FileSystemLoader([])
        self._environment = Environment(
            loader=self._loader,
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(facts, _=_translator(translate))
        self._environment.filters["utc"] = format_utc
        self.add(FOLDER)

    def add(self, folder: Path) -> None:
        """Add the templates in a folder, as a part or slice does when it is registered.

        Raises:
            ConfigurationError: There is one of this name.
        """
        for path in sorted(folder.iterdir()):
            self._names.claim(path.name, str(folder))
        self._loader.searchpath.append(str(folder))

    def require(self, name: str) -> None:
        """Refuse a message that has no templates.

        Raises:
            ConfigurationError: A template is missing.
        """
        for file in (f"{name}.txt", f"{name}.html"):
            if file not in self._names:
                raise ConfigurationError(
                    f"mail {name}: there is no template {file}; write it into a folder that"
                    " MailTemplates.add() was given"
                )

    def render(self, name: str, locale: str, data: Mapping[str, Any]) -> Rendered:
        """Write a message."""
        facts = {**data, "locale": locale}
        text = self._environment.get_template(f"{name}.txt").render(facts)
        html = self._environment.get_template(f"{name}.html").render(facts)
        subject, _, body = text.partition("\n")
        return Rendered(subject.strip(), body.strip() + "\n", html)


def format_utc(moment: datetime | str) -> str:
    """A moment as mail shows it: in UTC, and with these words.

    >>> format_utc("2026-03-01T12:30:00+02:00")
    '2026-03-01 10:30 UTC'
    """
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{utc(instant):%Y-%m-%d %H:%M} UTC"


def _translator(translate: Callable[[str, str], str]) -> Callable[..., str]:
    @pass_context
    def look_up(context: Context, message: str, **values: object) -> str:
        return translate(message, context["locale"]).format(**values)

    return look_up
