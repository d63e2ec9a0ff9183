"""Tencent Cloud SMS on this machine: verifies signatures as the real one publishes, then answers.

The signature is computed from the published description of TC3-HMAC-SHA256, not by the SDK
(https://cloud.tencent.com/document/api/382/52072).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

SECRET_ID = "test-secret-id"
SECRET_KEY = "test-secret-key"
PATIENCE = 300
"""Seconds that the request's clock may differ."""
_AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<date>[\d-]+)/(?P<service>\w+)/tc3_request, "
    r"SignedHeaders=(?P<names>[a-z;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def tc3_signature(
    secret_key: str, service: str, headers: Mapping[str, str], names: str, body: bytes
) -> str:
    """The signature of a POST to `/`.

    Args:
        secret_key: The account's.
        service: Such as `sms`.
        headers: By their names in lower case.
        names: Those that are signed, sorted and joined by semicolons.
        body: What is posted.
    """
    timestamp = headers["x-tc-timestamp"]
    date = datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%d")
    signed = "".join(f"{name}:{headers[name].strip().lower()}\n" for name in names.split(";"))
    request = f"POST\n/\n\n{signed}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"TC3-HMAC-SHA256\n{timestamp}\n{date}/{service}/tc3_request\n{digest}"
    key = f"TC3{secret_key}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@dataclass
class Tencent:
    """What the server was asked, and how it is to answer."""

    port: int = 1
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests whose signature was right."""
    request_error: str | None = None
    """Code that a request as a whole fails with."""
    number_errors: list[str] = field(default_factory=list)
    """Codes that numbers fail with, one message after the other."""
    status: int = 200
    delay: float = 0
    """Seconds to wait before answering."""
    text: bytes | None = None
    """Answer this and nothing else."""

    @property
    def settings(self) -> dict[str, Any]:
        """What points the application here."""
        return {
            "sms_secret_id": SECRET_ID,
            "sms_secret_key": SecretStr(SECRET_KEY),
            "sms_app_id": "1400006666",
            "sms_sign_name": "测试签名",
            "sms_template_id": "1110",
            "sms_endpoint": f"http://127.0.0.1:{self.port}",
        }

    @property
    def codes(self) -> list[str]:
        """The codes that were sent, the first first."""
        return [message["TemplateParamSet"][0] for message in self.messages]

    def answer(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """What the API says to a request."""
        if (error := self._refusal(headers, body) or self.request_error) is not None:
            text = f"{error} in {body.decode()}"
            return {"Error": {"Code": error, "Message": text}, "RequestId": "r-1"}
        message = json.loads(body)
        self.messages.append(message)
        statuses = [self._send(phone) for phone in message["PhoneNumberSet"]]
        return {"SendStatusSet": statuses, "RequestId": "r-1"}

    def _refusal(self, headers: Mapping[str, str], body: bytes) -> str | None:
        proof = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if proof is None or not {"content-type", "host"} <= set(proof["names"].split(";")):
            return "AuthFailure.InvalidAuthorization"
        if proof["id"] != SECRET_ID:
            return "AuthFailure.SecretIdNotFound"
        if abs(int(headers["x-tc-timestamp"]) - time.time()) > PATIENCE:
            return "AuthFailure.SignatureExpire"
        right = tc3_signature(SECRET_KEY, "sms", headers, proof["names"], body)
        if proof["service"] != "sms" or not hmac.compare_digest(right, proof["signature"]):
            return "AuthFailure.SignatureFailure"
        if (headers.get("x-tc-action"), headers.get("x-tc-version")) != ("SendSms", "2021-01-11"):
            return "InvalidAction"
        return None

    def _send(self, phone: str) -> dict[str, Any]:
        code = self.number_errors.pop(0) if self.number_errors else "Ok"
        return {
            "SerialNo": f"2019:{len(self.messages)}" if code == "Ok" else "",
            "PhoneNumber": phone,
            "Fee": 1 if code == "Ok" else 0,
            "SessionContext": "",
            "Code": code,
            "Message": "send success" if code == "Ok" else f"{phone}: {code}",
            "IsoCode": "CN",
        }


@contextmanager
def run_tencent() -> Iterator[Tencent]:
    """Serve on a free port of this machine."""
    tencent = Tencent()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            time.sleep(tencent.delay)
            if (answer := tencent.text) is None:
                answer = json.dumps({"Response": tencent.answer(headers, body)}).encode()
            self.send_response(tencent.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            with suppress(ConnectionError):  # the client has given up
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing to tell."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tencent.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield tencent
        server.shutdown()
        thread.join()
