"""Messages in the caller's language: English as written, Chinese from a gettext catalogue."""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path

from werkzeug.datastructures import LanguageAccept

FOLDER = Path(__file__).resolve().parents[1] / "translation"
DEFAULT_LOCALE = "en"
LOCALES = (DEFAULT_LOCALE, "zh")


def choose_locale(accepted: LanguageAccept) -> str:
    """The best locale for an `Accept-Language` header.

    A regional tag stands for its language, as in RFC 4647's lookup: `zh-CN` is served by `zh`.
    """
    for tag, quality in accepted:  # the most wanted first
        language = tag.split("-")[0].lower()
        if quality > 0 and language in LOCALES:
            return language
    return DEFAULT_LOCALE


@cache
def _catalogue(locale: str) -> gettext.NullTranslations:
    return gettext.translation("messages", FOLDER, [locale], fallback=True)


def translate(message: str, locale: str) -> str:
    """The message in the locale, or as it stands where nobody has translated it."""
    return _catalogue(locale).gettext(message) if message else message
