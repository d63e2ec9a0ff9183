"""Responses from cached JSON, which is sent without building models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strongback.cache import CachedPage
from strongback.schema import Validators
from strongback.web.conditional import note_shown
from strongback.web.linking import link_header
from strongback.web.request import Response, current_request


def cached_response(
    body: bytes, validators: Validators, *, seen: Callable[[Any], object] | None = None
) -> Response:
    """Respond with the JSON of a resource, or with a 304 if the client has this state.

    Args:
        body: The JSON.
        validators: Validators of the state that the JSON shows.
        seen: Called with the validators when a GET gets a 200 or a 304.
    """
    request = current_request()
    request.validators = validators
    note_shown(request, validators, seen)
    return Response.of_data(body)


def cached_page(page: CachedPage) -> Response:
    """Respond with the JSON of a part of a list."""
    response = Response.of_data(page.body)
    response.common = [("Link", link_header(page.window))]
    return response
