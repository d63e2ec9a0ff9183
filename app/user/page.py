"""Pages that the links in mail lead to: GET changes nothing, POST does.

They need no script, so that they work in every program that opens links.
"""

from __future__ import annotations

from collections.abc import Callable

from werkzeug.wrappers import Response as AnyResponse

from app.user.email_proof import EmailProof
from app.user.model import EMAIL_LENGTH
from app.user.password_reset import PasswordReset
from strongback.exceptions import NotFound, ValidationFailed
from strongback.mail import Unsubscriptions
from strongback.mail.exceptions import WrongToken
from strongback.web import Response, client_address, inject, limited
from strongback.web.error_response import respond
from strongback.web.limit import welcome
from strongback.web.page import PageBlueprint, page_language, render
from strongback.web.request import current_request
from strongback.web.translation import translate

HEADERS = (
    ("Cache-Control", "no-store"),
    # The address has a token in it.
    ("Referrer-Policy", "no-referrer"),
    ("X-Robots-Tag", "noindex"),
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

pages = PageBlueprint("account", __name__, url_prefix="/account")
proofs = inject(EmailProof)
resets = inject(PasswordReset)
unsubscriptions = inject(Unsubscriptions)
guess_limit = limited(
    "60/hour", key=client_address, on_outage="closed", counts=WrongToken, name="mail-token"
)


def _say(message: str, **values: str) -> str:
    text = translate(message, current_request().locale)
    return text.format(**values) if values else text


def _page(heading: str, *texts: str, status: int = 200, **form: object) -> Response:
    """A page of texts and, if it has a button, a form."""
    fields = ("account", "again", "button", "hint", "password", "problem", "signs_in", "token")
    values = dict.fromkeys((*fields, "username"), "") | form
    return render(
        "user/account.html", status=status, headers=HEADERS, heading=heading, texts=texts, **values
    )


@pages.before_request
def _choose_language() -> None:
    request = current_request()
    request.locale = page_language(request).locale


def _token(values: Callable[[str, str], str]) -> str:
    return values("token", "")[:512]


# Verifying an address


@pages.get("/email")
def show_email() -> Response:
    """Ask whether the address is to be verified."""
    token = _token(current_request().args.get)
    user = proofs.find(token)
    return _page(
        _say("Verify your e-mail address"),
        _say(
            "{address} will belong to the account {username}. If this is not your account, close"
            " this page.",
            address=user.email or "",
            username=user.username,
        ),
        token=token,
        button=_say("Verify"),
    )


@pages.post("/email")
@guess_limit
def verify_email() -> Response:
    """Verify the address."""
    user = proofs.confirm(_token(current_request().form.get))
    text = _say("{address} is verified.", address=user.email or "")
    return _page(_say("Thank you"), text)


# Replacing a password


@pages.get("/forgotten")
def show_forgotten() -> Response:
    """Ask whose password is forgotten."""
    return _page(
        _say("Forgotten password"),
        _say("We send a link that replaces it to the verified e-mail address of the account."),
        account=_say("Username or e-mail address"),
        button=_say("Send the link"),
    )


@pages.post("/forgotten")
@limited("30/hour", key=client_address, on_outage="closed", name="password-forgotten")
def send_password_link() -> Response:
    """Have the link sent; the page is the same if there is no such account."""
    account = current_request().form.get("account", "")[:EMAIL_LENGTH]
    if not account:
        return show_forgotten()
    resets.request(account)
    return _page(
        _say("Look into your mail"),
        _say("If there is such an account, the link is there soon, and valid for 30 minutes."),
    )


@pages.get("/password")
def show_password() -> Response:
    """Ask for a new password."""
    token = _token(current_request().args.get)
    return _password_form(resets.find(token).username, token)


def _password_form(username: str, token: str, problem: str = "", status: int = 200) -> Response:
    return _page(
        _say("Choose a new password"),
        _say(
            "It replaces the password of {username}, and signs out all devices.", username=username
        ),
        status=status,
        token=token,
        username=username,
        password=_say("New password"),
        hint=_say("8 to 128 characters"),
        problem=problem,
        button=_say("Save"),
    )


@pages.post("/password")
@guess_limit
def save_password() -> Response:
    """Replace the password, or say why it is not good enough."""
    form = current_request().form
    token = _token(form.get)
    try:
        user = resets.reset(token, form.get("password", ""))
    except WrongToken:
        raise
    except ValidationFailed as error:
        problem = _say(error.errors[0]["message"])
        return _password_form(resets.find(token).username, token, problem, error.code)
    welcome(user.username)
    text = _say("Sign in with the new one.")
    return _page(_say("Your password is changed"), text, signs_in=True)


# Unsubscribing


@pages.get("/unsubscribe")
def show_unsubscribe() -> Response:
    """Ask whether mail of this kind is to end."""
    token = _token(current_request().args.get)
    unsubscriptions.find(token)
    text = _say("You will get no more mail of this kind. Everything else stays as it is.")
    return _page(_say("Unsubscribe"), text, token=token, button=_say("Unsubscribe"))


@pages.post("/unsubscribe")
@limited("120/minute", key=client_address, on_outage="process")
def unsubscribe_by_page() -> Response:
    """End mail of this kind."""
    unsubscriptions.end(_token(current_request().form.get))
    return _page(_say("You are unsubscribed"), _say("You will get no more mail of this kind."))


# Everything else


@pages.route("/", defaults={"name": ""}, methods=METHODS)
@pages.route("/<path:name>", methods=METHODS)
def miss_page(name: str) -> Response:  # noqa: ARG001  of the route
    """Say that there is no such page, as a page."""
    raise NotFound


@pages.errorhandler(Exception)
def show_error(error: Exception) -> AnyResponse:
    """Show an error as a page."""
    response = respond(error)
    if not isinstance(response, Response):
        return response.get_response()
    facts = response.get_json()
    text = facts.get("message") or facts["detail"]  # of RFC 9457, for whoever asks for that
    again = _say("Forgotten password") if current_request().path.endswith("/password") else ""
    page = _page(_say("That did not work"), text, status=response.status_code, again=again)
    if wait := response.headers.get("Retry-After"):
        page.headers["Retry-After"] = wait
    return page
