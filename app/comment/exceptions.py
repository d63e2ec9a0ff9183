"""Errors of the comment slice.

NotFound
└── CommentNotFound    404 40001
"""

from strongback.exceptions import NotFound


class CommentNotFound(NotFound):
    """No comment has this number, or its article is not public."""

    error_code = 40001
    message = "The comment was not found."
