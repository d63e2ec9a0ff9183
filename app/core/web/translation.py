"""Messages in the caller's language: English as written, Chinese from a gettext catalogue."""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path

from werkzeug.datastructures import LanguageAccept

FOLDER = Path(__file__).resolve().parents[2] / "translation"
DEFAULT_LOCALE = "en"
LOCALES = (DEFAULT_LOCALE, "zh")


def choose_locale(accepted: LanguageAccept) -> str:
    """The best locale for an `Accept-Language` header (RFC 9110, section 12.5.4)."""
    return accepted.best_match(LOCALES, DEFAULT_LOCALE) or DEFAULT_LOCALE


@cache
def _catalogue(locale: str) -> gettext.NullTranslations:
    return gettext.translation("messages", FOLDER, [locale], fallback=locale == DEFAULT_LOCALE)


def translate(message: str, locale: str) -> str:
    """The message in the locale, or as it stands where nobody has translated it."""
    return _catalogue(locale).gettext(message) if message else message
