from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from strongback.auth.principal import Principal
from strongback.circuit_breaker import TOLERATED_FAILURES
from strongback.config import Settings
from strongback.database import utc_now
from strongback.exceptions import APIException, Unauthorized
from strongback.redis.client import RedisClient, connect
from strongback.schema import Schema
from strongback.testing.redis import PATIENCE, RedisServer
from strongback.web import APIBlueprint, account_name, client_address, init_limits, limited, public
from strongback.web.http_app import HTTPApp
from strongback.web.limit import _whole, principal
from strongback.web.request import Request
from tests.support.cache import eventually
from tests.support.thread import run_together


class WrongPassword(APIException):
    code = 400
    error_code = 99901
    message = "Wrong."


class Login(Schema):
    username: str
    password: str


def add_guarded(api: APIBlueprint) -> None:
    @api.post("/guarded")
    @public
    @limited("2/minute", key=client_address, on_outage="closed", counts=WrongPassword)
    def guard(form: Login) -> dict[str, str]:
        if form.password != "right":
            raise WrongPassword
        return {}


def probe_routes() -> APIBlueprint:
    """Routes as slices declare them."""
    api = APIBlueprint("probe", __name__, url_prefix="/probe")

    @api.get("/free")
    @public
    def read_free() -> dict[str, int]:
        return {}

    @api.get("/general")
    @public
    @limited("3/minute", key=client_address, on_outage="process")
    def read_general() -> dict[str, int]:
        return {}

    @api.get("/short")
    @public
    @limited("2/2 seconds", key=client_address, on_outage="process")
    def read_short() -> dict[str, int]:
        return {}

    add_guarded(api)

    @api.post("/token")
    @public
    @limited("30/minute", key=client_address, on_outage="closed")
    @limited("5/4 seconds", key=account_name, on_outage="closed", counts=WrongPassword)
    def create_token(form: Login) -> dict[str, str]:
        if form.password == "broken":
            raise RuntimeError
        if form.password != "right":
            time.sleep(0.02)  # as long as a hash takes: parallel guesses overlap
            raise WrongPassword
        return {"access_token": "…"}

    @api.post("/written")
    @public
    @limited("2/minute", key=client_address, on_outage="process")
    @limited("3/minute", key=principal, on_outage="process")
    def write(form: Login) -> dict[str, int]:
        return {}

    @api.get("/mine")
    @public
    @limited("2/minute", key=principal, on_outage="process")
    def read_mine() -> dict[str, int]:
        return {}

    for path in ("/first", "/second"):
        api.get(path, operation_id=path.strip("/"))(public(pair(path)))
    return api


def pair(path: str):
    """Two views with one count, because their limit has one name."""

    @limited("3/minute", key=client_address, on_outage="process", name="pair")
    def view() -> dict[str, int]:
        return {}

    view.__name__ = path.strip("/")
    return view


def build(settings: Settings, redis: RedisClient | None) -> HTTPApp:
    app = HTTPApp("probe", settings, title="probe", version="1")
    app.extensions["authenticate"] = authenticate
    app.register_api(probe_routes())
    init_limits(app, settings, redis)
    return app


def authenticate(header: str) -> Principal:
    number = header.removeprefix("Bearer ")
    if not number.isdigit():
        raise Unauthorized
    return Principal(int(number), "ada", frozenset(), frozenset(), "session", utc_now())


@pytest.fixture
def shared(redis_server: RedisServer) -> Iterator[RedisClient]:
    client = RedisClient(connect(redis_server.url, connections=18))
    yield client
    client.close()


@pytest.fixture(params=["memory", pytest.param("redis_server", id="redis")])
def app(request: pytest.FixtureRequest, settings: Settings) -> HTTPApp:
    """The probe routes with each kind of count in turn."""
    redis = None if request.param == "memory" else request.getfixturevalue("shared")
    return build(settings.model_copy(update={"web_proxies": 1}), redis)


@pytest.fixture
def client(app: HTTPApp) -> FlaskClient:
    return app.test_client()


def sign_in(client: FlaskClient, password: str, name: str = "ada") -> TestResponse:
    return client.post("/probe/token", data={"username": name, "password": password})


def statuses(client: FlaskClient, path: str, count: int, **headers: str) -> list[int]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [client.get(path, headers=named).status_code for _ in range(count)]


class TestAnswers:
    def test_refuses_in_the_one_shape_of_errors(self, client: FlaskClient) -> None:
        assert statuses(client, "/probe/general", 4) == [200, 200, 200, 429]

        refused = client.get("/probe/general")

        assert (refused.get_json()["code"], refused.get_json()["error_code"]) == (429, 10014)
        assert 50 <= int(refused.headers["Retry-After"]) <= 60

    def test_every_answer_says_where_the_caller_stands(self, client: FlaskClient) -> None:
        answers = [client.get("/probe/general") for _ in range(4)]

        assert {'"client-address";q=3;w=60'} == {it.headers["RateLimit-Policy"] for it in answers}
        stands = [it.headers["RateLimit"].rpartition("=") for it in answers]
        assert [stand for stand, _, _ in stands] == [
            '"client-address";r=2;t',
            '"client-address";r=1;t',
            '"client-address";r=0;t',
            '"client-address";r=0;t',
        ]
        assert stands[0][2] == "60"
        assert all(50 <= int(seconds) <= 60 for _, _, seconds in stands)

    def test_several_limits_are_listed_in_their_order(self, client: FlaskClient) -> None:
        answer = sign_in(client, "wrong")

        policy = '"client-address";q=30;w=60, "account-name";q=5;w=4'
        assert policy == answer.headers["RateLimit-Policy"]
        assert answer.headers["RateLimit"] == '"client-address";r=29;t=60, "account-name";r=4;t=4'

    @pytest.mark.parametrize("seconds, told", [(60 + 1e-9, 60), (59.2, 60), (0.0, 1)])
    def test_seconds_are_told_whole(self, seconds: float, told: int) -> None:
        assert told == _whole(seconds)

    def test_a_body_that_is_wrong_counts_and_is_not_read_when_the_limit_is_used_up(
        self, client: FlaskClient
    ) -> None:
        answers = [client.post("/probe/written", data={"a": "b"}) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [422, 422, 429]
        body = BytesIO(b"username=ada&password=right")
        form = "application/x-www-form-urlencoded"
        client.post("/probe/written", input_stream=body, content_length=27, content_type=form)
        assert body.tell() == 0

    def test_a_body_is_not_read_once_too_many_have_failed(self, client: FlaskClient) -> None:
        for _ in range(2):
            client.post("/probe/guarded", data={"username": "a", "password": "wrong"})
        body = BytesIO(b"username=ada&password=right")
        form = "application/x-www-form-urlencoded"
        answer = client.post(
            "/probe/guarded", input_stream=body, content_length=27, content_type=form
        )
        assert (answer.status_code, body.tell()) == (429, 0)

    def test_a_body_that_is_wrong_is_no_failure_of_the_view(self, client: FlaskClient) -> None:
        answers = [client.post("/probe/guarded", data={"a": "b"}) for _ in range(3)]
        right = client.post("/probe/guarded", data={"username": "a", "password": "right"})
        assert [answer.status_code for answer in (*answers, right)] == [422, 422, 422, 200]
        assert right.headers["RateLimit"].startswith('"client-address";r=2;')

    def test_a_request_counts_once_though_its_limit_is_asked_early(
        self, client: FlaskClient
    ) -> None:
        answer = client.post("/probe/written", data={"username": "a", "password": "right"})

        assert (
            answer.headers["RateLimit-Policy"] == '"client-address";q=2;w=60, "principal";q=3;w=60'
        )
        assert answer.headers["RateLimit"].startswith('"client-address";r=1;t=60, "principal";r=2')

    def test_other_routes_say_nothing(self, client: FlaskClient) -> None:
        assert "RateLimit" not in client.get("/probe/free").headers

    def test_serves_again_after_the_time_it_said(self, client: FlaskClient) -> None:
        assert statuses(client, "/probe/short", 3) == [200, 200, 429]

        time.sleep(int(client.get("/probe/short").headers["Retry-After"]))

        assert statuses(client, "/probe/short", 1) == [200]

    def test_off_by_setting(self, settings: Settings) -> None:
        client = build(settings.model_copy(update={"web_rate_limits": False}), None).test_client()

        assert {200} == set(statuses(client, "/probe/general", 10))


class TestKeys:
    def test_routes_have_counts_of_their_own(self, client: FlaskClient) -> None:
        statuses(client, "/probe/general", 3)

        assert statuses(client, "/probe/short", 1) == [200]

    def test_one_name_is_one_count(self, client: FlaskClient) -> None:
        assert statuses(client, "/probe/first", 2) == [200, 200]
        assert statuses(client, "/probe/second", 2) == [200, 429]

    def test_addresses_are_told_apart_behind_a_trusted_proxy(self, client: FlaskClient) -> None:
        statuses(client, "/probe/general", 3, X_Forwarded_For="203.0.113.1")

        assert statuses(client, "/probe/general", 1, X_Forwarded_For="203.0.113.1") == [429]
        assert statuses(client, "/probe/general", 1, X_Forwarded_For="203.0.113.2") == [200]

    def test_a_forged_address_gains_nothing(self, client: FlaskClient) -> None:
        chains = [f"10.0.0.{number}, 203.0.113.1" for number in range(4)]

        answers = [statuses(client, "/probe/general", 1, X_Forwarded_For=it)[0] for it in chains]

        assert answers == [200, 200, 200, 429]

    def test_an_account_has_one_count_wherever_it_is(self, client: FlaskClient) -> None:
        first = statuses(client, "/probe/mine", 1, Authorization="Bearer 7", X_Forwarded_For="::1")
        then = statuses(client, "/probe/mine", 2, Authorization="Bearer 7")

        assert (first, then) == ([200], [200, 429])
        assert statuses(client, "/probe/mine", 1, Authorization="Bearer 8") == [200]
        assert statuses(client, "/probe/mine", 1) == [200]

    @pytest.mark.parametrize(
        "address,key",
        [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("fe80::1%eth0", "fe80::/64"),
            ("", "unknown"),
            (None, "unknown"),
        ],
    )
    def test_an_address_counts_as_its_network(self, address: str | None, key: str) -> None:
        assert key == client_address(Request({"REMOTE_ADDR": address} if address else {}))

    def test_no_name_and_no_address_is_in_redis(
        self, settings: Settings, shared: RedisClient, redis_server: RedisServer
    ) -> None:
        sign_in(build(settings, shared).test_client(), "wrong", name="somebody")

        keys = [key for key, _ in redis_server.lifetimes()]

        assert len(keys) == 2
        assert not any("somebody" in key or "127.0.0.1" in key for key in keys)


class TestSignIn:
    def test_twenty_wrong_passwords_do_not_lock_the_account(self, client: FlaskClient) -> None:
        answers = [sign_in(client, "wrong") for _ in range(20)]

        assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 15
        refused = sign_in(client, "right")
        assert refused.status_code == 429
        time.sleep(int(refused.headers["Retry-After"]))
        assert sign_in(client, "right").status_code == 200

    def test_right_passwords_do_not_count(self, client: FlaskClient) -> None:
        answers = [sign_in(client, "right") for _ in range(10)]

        assert {200} == {answer.status_code for answer in answers}
        assert '"account-name";r=5' in answers[-1].headers["RateLimit"]

    def test_other_errors_do_not_count(self, client: FlaskClient, app: HTTPApp) -> None:
        app.config["PROPAGATE_EXCEPTIONS"] = False

        answers = [sign_in(client, "broken") for _ in range(7)]

        assert {500} == {answer.status_code for answer in answers}

    def test_guesses_in_parallel_gain_nothing(self, app: HTTPApp) -> None:
        answers = run_together(*[lambda: sign_in(app.test_client(), "wrong")] * 16)

        assert sum(answer.status_code == 400 for answer in answers) == 5

    @pytest.mark.parametrize(
        "name", ["ada", "ADA", " ada ", "adá", "a\u00adda", "ad\u200ba", "ａｄａ"]
    )
    def test_spellings_of_a_name_share_a_count(self, client: FlaskClient, name: str) -> None:
        for _ in range(5):
            sign_in(client, "wrong")

        assert sign_in(client, "wrong", name).status_code == 429
        assert sign_in(client, "wrong", "bob").status_code == 400

    def test_an_address_that_tries_many_names_is_refused(self, client: FlaskClient) -> None:
        answers = [sign_in(client, "wrong", f"user-{number}") for number in range(31)]

        assert [answer.status_code for answer in answers] == [400] * 30 + [429]


class TestWithoutRedis:
    @pytest.fixture
    def client(self, settings: Settings, shared: RedisClient) -> FlaskClient:
        return build(settings, shared).test_client()

    def test_general_limits_count_by_process(
        self, client: FlaskClient, redis_server: RedisServer
    ) -> None:
        redis_server.kill()

        assert statuses(client, "/probe/general", 4) == [200, 200, 200, 429]

    def test_limits_against_guessing_refuse(
        self, client: FlaskClient, redis_server: RedisServer
    ) -> None:
        redis_server.kill()

        refused = sign_in(client, "right")

        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert refused.get_json()["error_code"] == 10015

    def test_a_frozen_redis_costs_the_first_requests_only(
        self, client: FlaskClient, redis_server: RedisServer
    ) -> None:
        with redis_server.frozen():
            statuses(client, "/probe/general", TOLERATED_FAILURES)
            started = time.monotonic()
            for _ in range(100):
                sign_in(client, "right")
            taken = time.monotonic() - started

        assert taken < 100 * PATIENCE / 2, "they have waited for it"

    def test_is_counted(self, client: FlaskClient, redis_server: RedisServer) -> None:
        before = degraded()
        redis_server.kill()

        statuses(client, "/probe/general", 2)
        sign_in(client, "right")

        assert {policy: count - before[policy] for policy, count in degraded().items()} == {
            "process": 2,
            "closed": 1,
        }

    def test_limits_of_redis_are_back_with_it(
        self, client: FlaskClient, shared: RedisClient, redis_server: RedisServer
    ) -> None:
        redis_server.kill()
        for _ in range(3):
            assert sign_in(client, "right").status_code == 503
        redis_server.start()
        assert eventually(lambda: shared.is_available)

        assert sign_in(client, "right").status_code == 200


def degraded() -> dict[str, float]:
    name = "rate_limit_without_redis_total"
    return {
        policy: REGISTRY.get_sample_value(name, {"policy": policy}) or 0
        for policy in ("process", "closed")
    }


def test_a_wrong_rate_is_an_error_where_it_is_declared() -> None:
    with pytest.raises(ValueError, match="couldn't parse"):
        limited("sometimes", key=client_address, on_outage="process")
