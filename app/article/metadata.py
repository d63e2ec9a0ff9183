"""What the front matter of a file may say, and how to write it."""

from __future__ import annotations

import re
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta, timezone
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from app.article.front_matter import Facts
from app.article.model import SUMMARY_LENGTH
from app.article.schema import LANGUAGE_PATTERN, Language, Slug, Summary, Tags, Title
from app.article.source import Refusal
from strongback.schema import utc
from strongback.text import shorten

_INSTANT = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[Tt \t]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?"
    r"[ \t]*(?:(?P<utc>Z|UTC|GMT)|(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?)?)?",
    re.IGNORECASE,
)
_YEARS = range(1000, MAXYEAR)
"""MySQL vouches for no year before, and what waits for a moment needs a later one."""
_SWITCH = re.compile("true|false|yes|no|on|off", re.IGNORECASE)
_COMMAS = re.compile(r"[,，、]")
_DATE = (
    "bad front matter: {key}: write a moment such as 2026-01-15 or 2026-01-15 10:00:00 +08:00, of"
    " the years 1000 to 9998"
)
_LANGUAGE = "bad front matter: {key}: write a tag such as en, zh or pt-BR"
_SWITCHED = "bad front matter: {key}: write true or false"
REMEDIES = {
    "title": "bad front matter: {key}: write one line of at most 200 characters",
    "slug": "bad front matter: {key}: write letters and digits, in words joined by hyphens, such as"
    " my-first-post, at most 120 characters",
    "summary": "bad front matter: {key}: write at most 500 characters",
    "tags": "bad front matter: {key}: write a list such as [python, web], of at most 20 tags of at"
    " most 40 characters",
    "language": _LANGUAGE,
    "lang": _LANGUAGE,
    "date": _DATE,
    "publishdate": _DATE,
    "expirydate": _DATE,
    "draft": _SWITCHED,
    "published": "bad front matter: {key}: write true, false or a moment such as 2026-01-15",
    "publish": _SWITCHED,
}
"""How each key is to be written."""


def _text(value: Any) -> Any:  # noqa: ANN401  whatever was written
    """A number is text where text is wanted; YAML's come as they were written."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _tags(value: Any) -> Any:  # noqa: ANN401  whatever was written
    """The tags of `a, b`, of `a b` as Jekyll documents it, and of a list; Obsidian's may be #a."""
    if isinstance(value := _text(value), str):
        value = _COMMAS.split(value) if _COMMAS.search(value) else value.split()
    if not isinstance(value, list):
        return value
    tags = [tag.strip().removeprefix("#") if isinstance(tag, str) else tag for tag in value]
    return [_text(tag) for tag in tags if tag not in {None, ""}] if _is_flat(tags) else tags


def _is_flat(tags: list[Any]) -> bool:
    return not any(isinstance(tag, list | dict) for tag in tags)


def _slug(value: Any) -> Any:  # noqa: ANN401  whatever was written
    return value.lower().replace("_", "-") if isinstance(value := _text(value), str) else value


def _language(value: Any) -> Any:  # noqa: ANN401  whatever was written
    if not isinstance(value, str) or re.fullmatch(LANGUAGE_PATTERN, value):
        return value
    return value.lower().replace("_", "-")


def _description(value: Any) -> Any:  # noqa: ANN401  whatever was written
    """Generators set no limit to it, and it need not be one for ours."""
    return shorten(" ".join(value.split()), SUMMARY_LENGTH) if isinstance(value, str) else None


def _published(value: Any) -> Any:  # noqa: ANN401  whatever was written
    """Jekyll's and Hexo's switch, or Hugo's other name of a date."""
    is_switch = isinstance(value, bool) or (isinstance(value, str) and _SWITCH.fullmatch(value))
    return value if is_switch else _instant(value)


def _instant(value: Any) -> datetime:  # noqa: ANN401  whatever was written
    """A moment; one without a zone is in UTC, as in YAML 1.1, and one without a time is midnight.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, str) and (match := _INSTANT.fullmatch(value.strip())):
        value = _read_instant(match)
    if isinstance(value, datetime):
        try:
            value = utc(value)
        except OverflowError:
            raise ValueError("no such moment") from None
    elif isinstance(value, date):
        value = datetime.combine(value, time.min, UTC)
    if not isinstance(value, datetime) or value.year not in _YEARS:
        raise ValueError("no moment")
    return value


def _read_instant(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    microsecond = int((match[7] or "")[:6].ljust(6, "0"))
    zone = UTC
    if match["sign"]:
        distance = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
        zone = timezone(-distance if match["sign"] == "-" else distance)
    return datetime(year, month, day, hour, minute, second, microsecond, zone)


Instant = Annotated[datetime | None, BeforeValidator(_instant)]


class Metadata(BaseModel):
    """The keys that are read, in lower case; all others are left alone."""

    model_config = ConfigDict(extra="ignore")

    title: Annotated[Title | None, BeforeValidator(_text)] = None
    slug: Annotated[Slug | None, BeforeValidator(_slug)] = None
    summary: Annotated[Summary | None, BeforeValidator(_text)] = None
    description: Annotated[Summary | None, BeforeValidator(_description)] = None
    """Is the summary where there is none."""
    tags: Annotated[Tags, BeforeValidator(_tags)] = []
    language: Annotated[Language | None, BeforeValidator(_language)] = None
    lang: Annotated[Language | None, BeforeValidator(_language)] = None
    date: Instant = None
    publishdate: Instant = None
    """Hugo's date of publication, when `date` is another one."""
    expirydate: Instant = None
    """From then on Hugo shows it no longer."""
    draft: bool | None = None
    published: Annotated[bool | datetime | None, BeforeValidator(_published)] = None
    publish: bool | None = None
    """Obsidian Publish."""
    layout: Any = None
    type: Any = None

    def published_at(self) -> datetime | None:
        """From when on readers see it, as far as it says."""
        other_name = self.published if isinstance(self.published, datetime) else None
        return self.publishdate or self.date or other_name

    def is_published(self, now: datetime) -> bool | None:
        """Whether readers may see it; None if it does not say."""
        if self.expirydate is not None and self.expirydate <= now:
            return False
        switches = (self.published, self.publish, None if self.draft is None else not self.draft)
        said = [switch for switch in switches if isinstance(switch, bool)]
        return all(said) if said else None


def read_metadata(facts: Facts) -> Metadata:
    """Check what a file says of itself.

    Raises:
        Refusal: A value is wrong; says how to write it.
    """
    try:
        return Metadata.model_validate(facts)
    except ValidationError as error:
        where = error.errors(include_url=False, include_input=False)[0]["loc"]
        key = ".".join(map(str, where))
        raise Refusal(REMEDIES[str(where[0])], key=key) from None
