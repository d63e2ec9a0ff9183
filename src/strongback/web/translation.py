"""Messages in the caller's language: English in the code, others in gettext catalogues."""

from __future__ import annotations

from gettext import NullTranslations, translation
from pathlib import Path
from typing import Any, cast

from flask import current_app
from werkzeug.datastructures import LanguageAccept

FOLDER = Path(__file__).resolve().parents[1] / "translation"
DEFAULT_LOCALE = "en"


class Translations:
    """The catalogues of an application: `<locale>/LC_MESSAGES/messages.mo` in some folders."""

    def __init__(self, *folders: Path) -> None:
        self._catalogues: dict[str, NullTranslations] = {}
        for folder in folders:
            self.add(folder)

    def add(self, folder: Path) -> None:
        """Add the catalogues in a folder, as a part or slice does when it is registered."""
        for path in sorted(folder.glob("*/LC_MESSAGES/messages.mo")):
            locale = path.parts[-3]
            catalogue = translation(path.stem, folder, [locale])  # reads each file once
            if known := self._catalogues.get(locale):
                known.add_fallback(catalogue)
            else:
                self._catalogues[locale] = catalogue

    @property
    def locales(self) -> list[str]:
        """All locales of the application, English first."""
        return [DEFAULT_LOCALE, *self._catalogues]

    def choose(self, accepted: LanguageAccept) -> str:
        """The best locale for an `Accept-Language` header.

        A regional tag falls back to its language, as in RFC 4647's lookup: `zh-CN` gets `zh`.
        """
        for tag, quality in accepted:  # by descending quality
            language = tag.split("-")[0].lower()
            if quality > 0 and (language == DEFAULT_LOCALE or language in self._catalogues):
                return language
        return DEFAULT_LOCALE

    def translate(self, message: str, locale: str) -> str:
        """The message in the locale, or in English if there is no translation."""
        catalogue = self._catalogues.get(locale)
        return catalogue.gettext(message) if catalogue and message else message


def translations() -> Translations:
    """The catalogues of the current application."""
    return cast("Any", current_app).translations  # type: ignore[no-any-return]  # HTTPApp's


def translate(message: str, locale: str) -> str:
    """The message in the locale, by the catalogues of the current application."""
    return translations().translate(message, locale)
