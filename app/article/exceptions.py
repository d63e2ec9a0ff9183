"""Errors of the article slice.

NotFound
└── ArticleNotFound    404 30001
AlreadyExists
└── SlugTaken          409 30002
ValidationFailed
└── ArchiveRefused     422 30003
"""

from strongback.exceptions import AlreadyExists, NotFound, ValidationFailed


class ArticleNotFound(NotFound):
    """No published article has this slug."""

    error_code = 30001
    message = "The article was not found."


class SlugTaken(AlreadyExists):
    """Another article has this slug."""

    error_code = 30002
    message = "The slug is already taken."


class ArchiveRefused(ValidationFailed):
    """An upload that is not a zip of Markdown, or one that would do harm if it were unpacked."""

    error_code = 30003
    message = "The archive cannot be imported."
