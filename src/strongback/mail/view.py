"""Route that mail programs unsubscribe by."""

from __future__ import annotations

from typing import Annotated, Literal

from flask import redirect
from pydantic import Field
from werkzeug.wrappers import Response

from strongback.mail.unsubscribe import Unsubscriptions
from strongback.schema import RequestForm, RequestQuery
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import public
from strongback.web.injection import inject
from strongback.web.limit import client_address, limited

ROUTE = "/notifications/unsubscribe"
api = APIBlueprint("sb_mail", __name__, url_prefix="", tag="mail")
unsubscriptions = inject(Unsubscriptions)


class UnsubscribeQuery(RequestQuery):
    """The link in a message."""

    token: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,512}$")]
    """Token of the link."""


class UnsubscribeForm(RequestForm):
    """The form that mail programs send (RFC 8058, section 3.2)."""

    one_click: Annotated[Literal["One-Click"], Field(alias="List-Unsubscribe")]
    """Always `One-Click`."""


@api.post(ROUTE, responses={204: None})
@public
@limited("120/minute", key=client_address, on_outage="process")
def unsubscribe(query: UnsubscribeQuery, form: UnsubscribeForm) -> None:  # noqa: ARG001  RFC 8058
    """Unsubscribe from a kind of mail, by the token in its link; repeating it has no effect."""
    unsubscriptions.end(query.token)


@api.get(ROUTE, responses={303: None})
@public
def show_unsubscribe_page(query: UnsubscribeQuery) -> Response:
    """Go to the page for people, as mail programs without that button do; changes nothing."""
    return redirect(unsubscriptions.link(query.token), 303)
