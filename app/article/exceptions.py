"""Errors of the article slice.

NotFound
└── ArticleNotFound    404 30001
AlreadyExists
└── SlugTaken          409 30002
"""

from app.core.exceptions import AlreadyExists, NotFound


class ArticleNotFound(NotFound):
    """No published article has this slug."""

    error_code = 30001
    message = "The article was not found."


class SlugTaken(AlreadyExists):
    """Another article has this slug."""

    error_code = 30002
    message = "The slug is already taken."
