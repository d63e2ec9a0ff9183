"""Messages in the caller's language: English in the code, Chinese in a gettext catalogue."""

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

    A regional tag falls back to its language, as in RFC 4647's lookup: `zh-CN` gets `zh`.
    """
    for tag, quality in accepted:  # by descending quality
        language = tag.split("-")[0].lower()
        if quality > 0 and language in LOCALES:
            return language
    return DEFAULT_LOCALE


@cache
def _catalogue(locale: str) -> gettext.NullTranslations:
    return gettext.translation("messages", FOLDER, [locale], fallback=True)


def translate(message: str, locale: str) -> str:
    """The message in the locale, or in English if there is no translation."""
    return _catalogue(locale).gettext(message) if message else message
