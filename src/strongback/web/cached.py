"""Answers that were written before: from the cache to the client without a model in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strongback.paging import Window
from strongback.schema import Validators
from strongback.web.conditional import note_shown
from strongback.web.linking import link_header
from strongback.web.request import Response, current_request


def cached_response(
    body: bytes, validators: Validators, *, seen: Callable[[Any], object] | None = None
) -> Response:
    """Answer with JSON that shows a resource; it becomes a 304 where the client has this state.

    Args:
        body: The JSON.
        validators: Of the state that it shows.
        seen: Is given the validators of what a GET is answered.
    """
    request = current_request()
    request.validators = validators
    note_shown(request, validators, seen)
    return Response.of_data(body)


def cached_page(body: bytes, window: Window[Any]) -> Response:
    """Answer with JSON that shows a part of a list.

    Args:
        body: The JSON.
        window: Which part it is; its items are not looked at.
    """
    response = Response.of_data(body)
    response.common = [("Link", link_header(window))]
    return response
