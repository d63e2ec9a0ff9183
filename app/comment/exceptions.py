"""Errors of the comment slice.

NotFound
└── CommentNotFound    404 40001
"""

from strongback.exceptions import NotFound


class CommentNotFound(NotFound):
    """The comment does not exist, or its article is not published."""

    error_code = 40001
    message = "The comment was not found."
