"""Kinds of notifications, which parts and slices declare."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Any

from strongback.exceptions import ConfigurationError
from strongback.notification.notification_model import KIND_LENGTH

Translate = Callable[[str, str], str]
"""Translates a message into a locale."""
_NAME = re.compile(r"[a-z][a-z0-9-]*:[a-z][a-z0-9-]*")


class Way(StrEnum):
    """A way to reach a person."""

    INBOX = "inbox"
    """The list at `/notifications`."""
    REALTIME = "realtime"
    """The personal channel of whoever is connected."""
    MAIL = "mail"
    """A message to a proven address."""
    SMS = "sms"
    """A text message to a verified number."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of notification.

        PUBLISHED = Kind(
            "article:published",
            about="An author whom you follow publishes an article.",
            text="{actor} published “{title}”.",
        )

    The texts are English and the keys of their translations, which the slice has in its catalogue.
    Their placeholders are `actor` and the names of `data`.
    """

    name: str
    """Name, such as `article:published`."""
    _: KW_ONLY
    about: str
    """Description for the list of preferences, a sentence."""
    text: str
    """Text, one line."""
    variants: Mapping[str, str] = field(default_factory=dict)
    """Other texts, by the value of `data` that calls for them: `{"count=1": "…"}`."""
    subject: str = ""
    """Subject of the mail. Default: the text."""
    body: str = ""
    """Text of the mail. Default: the text."""
    link: str = ""
    """Path of the page that the mail leads to, such as `/articles/{slug}`. Default: none."""
    ways: Sequence[Way] = (Way.INBOX, Way.REALTIME, Way.MAIL)
    """Ways that it takes. A text message is sent only to those who switch it on."""
    off: Sequence[Way] = ()
    """Ways that are off until a person switches them on, beside text messages."""
    sms_templates: Mapping[str, str] | None = None
    """Ids of the provider's approved templates, for English and each language of the text."""
    sms_params: Sequence[str] = ()
    """Names of the values of these templates, in their order."""
    is_security: bool = False
    """Whether it is about the security of the account: no way but the text message can be
    switched off."""

    def problems(self, locales: Sequence[str], translate: Translate) -> Iterator[str]:
        """Yield what is wrong with the declaration."""
        if len(self.name) > KIND_LENGTH or not _NAME.fullmatch(self.name):
            yield f"its name is not like article:published, with at most {KIND_LENGTH} characters"
        templates = self.sms_templates or {}
        spoken = [
            locales[0],
            *(each for each in locales if translate(self.text, each) != self.text),
        ]
        lacking = [each for each in spoken if not templates.get(each)]
        if Way.SMS in self.ways and lacking:
            yield f"sms_templates names no approved template for {', '.join(lacking)}"

    def is_on(self, way: Way, choices: Mapping[Way, bool]) -> bool:
        """Whether a person is reached by a way."""
        if self.is_security and way is not Way.SMS:
            return way in self.ways
        default = way is not Way.SMS and way not in self.off
        return way in self.ways and choices.get(way, default)

    def say(
        self, values: Mapping[str, Any], locale: str, translate: Translate, text: str = ""
    ) -> str:
        """The text, or another one of its texts, in a language.

        Args:
            values: Values of the placeholders; those that are missing are left empty, because a
                stored notification may be older than its text.
            locale: The language.
            translate: Translates the text.
            text: Another text than that of the inbox.
        """
        fitting = (
            variant
            for condition, variant in self.variants.items()
            if str(values.get(condition.partition("=")[0])) == condition.partition("=")[2]
        )
        text = text or next(fitting, self.text)
        return translate(text, locale).format_map(defaultdict(str, values))


class Kinds:
    """Every kind of an application, by name."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}

    def add(self, *kinds: Kind) -> None:
        """Add kinds.

        Raises:
            ConfigurationError: There is another one of this name.
        """
        for kind in kinds:
            if self._kinds.setdefault(kind.name, kind) is not kind:
                raise ConfigurationError(f"notification {kind.name} is declared twice: rename one")

    def check(self, locales: Sequence[str], translate: Translate) -> None:
        """Check all declarations, for the languages of the application.

        Raises:
            ConfigurationError: One is wrong.
        """
        for kind in self:
            for problem in kind.problems(locales, translate):
                raise ConfigurationError(f"notification {kind.name}: {problem}")

    def get(self, name: str) -> Kind | None:
        """The kind of a name; None if its slice is gone."""
        return self._kinds.get(name)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds.values())
