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
    """The article does not exist, or is not published."""

    error_code = 30001
    message = "The article was not found."


class SlugTaken(AlreadyExists):
    """Another article has this slug."""

    error_code = 30002
    message = "The slug is already taken."


class ArchiveRefused(ValidationFailed):
    """The upload is no zip of Markdown, or unpacking it is unsafe."""

    error_code = 30003
    message = "The archive cannot be imported."
