from __future__ import annotations

import io
import json
from typing import Annotated, Any

import pytest
from flask.testing import FlaskClient
from pydantic import BaseModel, Field, SecretStr, model_validator

from strongback.config import Settings
from strongback.schema import RequestBody, RequestForm, RequestPath, RequestQuery, Schema
from strongback.web import APIBlueprint, UploadedFile, public
from strongback.web.http_app import HTTPApp

JSON = "application/json"
DEEP = 100_000


class Body(RequestBody):
    title: Annotated[str, Field(max_length=10)]
    count: int = 0
    ratio: float = 0.0
    done: bool = False
    tags: list[str] = Field(default=[])
    anything: Any = None


class Pair(RequestBody):
    low: int
    high: int

    @model_validator(mode="after")
    def _is_ordered(self) -> Pair:
        if self.low > self.high:
            raise ValueError("The low end must not be above the high one.")
        return self


class Form(RequestForm):
    username: str
    password: SecretStr
    age: int | None = None
    tags: list[str] = Field(default=[])


class Upload(RequestForm):
    name: str
    file: UploadedFile


class Query(RequestQuery):
    page: Annotated[int, Field(ge=1)] = 1
    tags: list[str] = Field(default=[])
    word: Annotated[str, Field(max_length=10)] | None = None
    exact: bool = False


class Path(RequestPath):
    number: Annotated[int, Field(ge=1)]


class Header(BaseModel):
    x_tenant: Annotated[str, Field(max_length=10)]
    x_level: int = 0


class Seen(Schema):
    """What the view was given."""

    seen: dict[str, Any]


def _seen(**models: BaseModel) -> Seen:
    return Seen(seen={name: model.model_dump(mode="json") for name, model in models.items()})


@pytest.fixture(scope="module")
def bare(module_settings: Settings) -> HTTPApp:
    """An application with routes that read from each part of a request."""
    bare = HTTPApp("bare", module_settings, title="Bare", version="1.0")
    api = APIBlueprint("probe", __name__, url_prefix="")

    @api.post("/body", responses={200: Seen})
    @public
    def read_body(body: Body) -> Seen:
        """Body."""
        return _seen(body=body)

    @api.post("/pair", responses={200: Seen})
    @public
    def read_pair(body: Pair) -> Seen:
        """Body with a rule across fields."""
        return _seen(body=body)

    @api.post("/form", responses={200: Seen})
    @public
    def read_form(form: Form) -> Seen:
        """Form."""
        values = form.model_dump() | {"password": form.password.get_secret_value()}
        return Seen(seen={"form": values})

    @api.post("/upload", responses={200: Seen})
    @public
    def read_upload(form: Upload) -> Seen:
        """Form with a file."""
        return Seen(seen={"name": form.name, "file": form.file.read().decode()})

    @api.get("/query", responses={200: Seen})
    @public
    def read_query(query: Query) -> Seen:
        """Query."""
        return _seen(query=query)

    @api.get("/path/<number>", responses={200: Seen})
    @public
    def read_path(path: Path) -> Seen:
        """Path."""
        return _seen(path=path)

    @api.get("/header", responses={200: Seen})
    @public
    def read_header(header: Header) -> Seen:
        """Header."""
        return _seen(header=header)

    @api.put("/all/<number>", responses={200: Seen})
    @public
    def read_all(header: Header, path: Path, query: Query, body: Body) -> Seen:
        """Everything."""
        return _seen(header=header, path=path, query=query, body=body)

    bare.register_api(api)
    return bare


@pytest.fixture
def probe(bare: HTTPApp) -> FlaskClient:
    """A client of it."""
    return bare.test_client()


def fields(response: Any) -> dict[str, str]:
    """The wrong fields, and the type of each error."""
    assert response.status_code == 422, response.data
    return {error["field"]: error["type"] for error in response.json["errors"]}


def post(probe: FlaskClient, raw: bytes | str, content_type: str = JSON, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return probe.post("/body", data=raw, content_type=content_type, headers=named)


def upload(probe: FlaskClient, content: bytes) -> Any:
    """Send a file, by a client that keeps none open."""
    field = b'--b\r\nContent-Disposition: form-data; name="'
    head = field + b'name"\r\n\r\na\r\n' + field + b'file"; filename="a"\r\n\r\n'
    return probe.post(
        "/upload",
        data=head + content + b"\r\n--b--",
        content_type="multipart/form-data; boundary=b",
    )


class TestBody:
    def test_is_read(self, probe):
        body = {"title": "a", "count": 1, "ratio": 1.5, "done": True, "tags": ["x"], "anything": {}}
        assert probe.post("/body", json=body).json["seen"]["body"] == body

    def test_text_is_read_as_utf8(self, probe):
        response = post(probe, '{"title": "中文"}'.encode())
        assert response.json["seen"]["body"]["title"] == "中文"

    def test_a_json_text_is_not_decoded_twice(self, probe):
        assert fields(post(probe, json.dumps('{"title": "a"}'))) == {"body": "model_type"}

    @pytest.mark.parametrize(
        "field, value, kind",
        [
            ("title", 1, "string_type"),
            ("title", None, "string_type"),
            ("title", "x" * 11, "string_too_long"),
            ("count", "1", "int_type"),
            ("count", 1.5, "int_type"),
            ("count", True, "int_type"),
            ("ratio", "1.5", "float_type"),
            ("done", "true", "bool_type"),
            ("done", 1, "bool_type"),
            ("tags", "x", "list_type"),
            ("tags", {"0": "x"}, "list_type"),
        ],
    )
    def test_a_wrong_type_is_refused(self, probe, field, value, kind):
        response = probe.post("/body", json={"title": "a"} | {field: value})
        assert fields(response) == {f"body.{field}": kind}

    @pytest.mark.parametrize("raw", ["null", "[]", "1", '"text"', "true", "[[[]]]"])
    def test_something_other_than_an_object_is_refused(self, probe, raw):
        assert list(fields(post(probe, raw))) == ["body"]

    def test_an_unknown_field_is_refused(self, probe):
        response = probe.post("/body", json={"title": "a", "titel": "b"})
        assert fields(response) == {"body.titel": "extra_forbidden"}

    def test_a_missing_field_is_named(self, probe):
        assert fields(probe.post("/body", json={})) == {"body.title": "missing"}

    def test_all_wrong_fields_are_named_at_once(self, probe):
        response = probe.post("/body", json={"count": "1", "tags": ["x", 1], "more": 1})
        assert fields(response) == {
            "body.title": "missing",
            "body.count": "int_type",
            "body.tags.1": "string_type",
            "body.more": "extra_forbidden",
        }

    def test_a_rule_across_fields_says_what_it_wants(self, probe):
        response = probe.post("/pair", json={"low": 2, "high": 1})
        (error,) = response.json["errors"]
        assert error["field"] == "body"
        assert error["message"] == "The low end must not be above the high one."

    def test_the_clients_value_is_not_repeated(self, probe):
        response = probe.post("/body", json={"title": ["hunter2"]})
        assert b"hunter2" not in response.data

    def test_the_name_of_an_unknown_field_is_shortened(self, probe):
        response = probe.post("/body", json={"title": "a", "x" * 10_000: 1})
        assert len(response.data) < 1000

    def test_a_field_given_twice_takes_the_last(self, probe):
        response = post(probe, '{"title": "a", "title": "b"}')
        assert response.json["seen"]["body"]["title"] == "b"


class TestManyErrors:
    def test_twenty_are_listed_and_all_are_counted(self, probe):
        response = probe.post("/body", json={"title": "a"} | {f"k{n}": 1 for n in range(1_000)})
        assert response.status_code == 422
        assert (len(response.json["errors"]), response.json["errors_total"]) == (20, 1_000)

    def test_those_of_several_locations_count_together(self, probe):
        unknown = {f"k{n}": 1 for n in range(30)}
        response = probe.put("/all/0?page=0", json={"title": 1} | unknown)
        found = [error["field"] for error in response.json["errors"]]
        assert found[:4] == ["header.x_tenant", "path.number", "query.page", "body.title"]
        assert (len(found), response.json["errors_total"]) == (20, 34)

    def test_a_few_are_not_counted(self, probe):
        assert "errors_total" not in probe.post("/body", json={"title": 1}).json


class TestJSON:
    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b" ",
            b"{",
            b"{]",
            b'{"title": "a"',
            b'{"title": "a"} x',
            b'{"title": "a",}',
            b"{'title': 'a'}",
            b"title=a",
            b"\xff\xfe",
            b'{"title": "\xff"}',
            '{"title": "a"}'.encode("utf-16"),
            '{"title": "a"}'.encode("utf-32"),
            '{"title": "中文"}'.encode("gbk"),
            b'\xef\xbb\xbf{"title": "a"}',
            b'{"title": "\x00"}',
            b'{"title": "\n"}',
            b'{"title": "\\x"}',
            b'{"title": "a", "count": 01}',
            b'{"title": "a", "count": +1}',
            b'{"title": "a", "count": 0x1}',
        ],
    )
    def test_what_is_not_json_is_400(self, probe, raw):
        response = post(probe, raw)
        assert (response.status_code, response.json["error_code"]) == (400, 10001)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
    @pytest.mark.parametrize("field", ["ratio", "anything", "count"])
    def test_a_number_that_json_does_not_know_is_400(self, probe, field, number):
        assert post(probe, f'{{"title": "a", "{field}": {number}}}').status_code == 400

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
    def test_its_name_as_a_text_is_a_text(self, probe, word):
        response = probe.post("/body", json={"title": word, "anything": [word]})
        assert response.json["seen"]["body"]["title"] == word

    @pytest.mark.parametrize(
        "raw",
        [
            r'{"title": "\ud800"}',
            r'{"title": "\udc00"}',
            r'{"title": "\ud800x"}',
            r'{"title": "\ud800\ud800"}',
            r'{"title": "a", "anything": "\ud800"}',
            r'{"title": "a", "\ud800": 1}',
        ],
    )
    def test_half_of_a_surrogate_pair_is_400(self, probe, raw):
        assert post(probe, raw).status_code == 400

    def test_a_whole_surrogate_pair_is_one_character(self, probe):
        assert post(probe, r'{"title": "\ud83d\ude00"}').json["seen"]["body"]["title"] == "😀"

    @pytest.mark.parametrize(
        "raw",
        [
            "[" * DEEP,
            "[" * DEEP + "]" * DEEP,
            '{"a":' * DEEP,
            '{"title": "a", "anything": ' + "[" * 5000 + "]" * 5000 + "}",
            '{"title": "a", "anything": ' + '{"a":' * 5000 + "1" + "}" * 5000 + "}",
        ],
    )
    def test_nesting_without_end_is_400(self, probe, raw):
        assert post(probe, raw).status_code == 400

    @pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "1" + "0" * 300_000])
    def test_an_integer_of_thousands_of_digits_is_refused(self, probe, number):
        assert post(probe, f'{{"title": "a", "count": {number}}}').status_code in {400, 422}

    @pytest.mark.parametrize("number", ["1e400", "-1e400", "1e999999999"])
    def test_a_float_beyond_the_range_is_refused(self, probe, number):
        assert post(probe, f'{{"title": "a", "ratio": {number}}}').status_code in {400, 422}

    def test_a_number_beyond_the_range_is_answered_as_json_where_any_value_fits(self, probe):
        response = post(probe, '{"title": "a", "anything": 1e400}')
        assert b"Infinity" not in response.data


class TestContentType:
    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/xml",
            "text/json",
            "application/jsonx",
            "application/problem+json",
            "application",
            "/",
            ";",
        ],
    )
    def test_another_type_is_415_and_says_which_fits(self, probe, content_type):
        response = post(probe, '{"title": "a"}', content_type)
        assert (response.status_code, response.json["error_code"]) == (415, 10011)
        assert response.headers["Accept"] == JSON

    def test_no_type_is_415(self, probe):
        assert probe.post("/body", data=b'{"title": "a"}').status_code == 415

    @pytest.mark.parametrize(
        "content_type", [JSON, "application/json; charset=utf-8", "APPLICATION/JSON"]
    )
    def test_parameters_and_case_do_not_count(self, probe, content_type):
        assert post(probe, '{"title": "a"}', content_type).status_code == 200

    @pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, gzip", "rubbish"])
    def test_a_compressed_body_is_415_and_says_what_is_read(self, probe, encoding):
        response = post(probe, '{"title": "a"}', Content_Encoding=encoding)
        assert response.status_code == 415
        assert response.headers["Accept-Encoding"] == "identity"

    @pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
    def test_identity_is_no_encoding(self, probe, encoding):
        assert post(probe, '{"title": "a"}', Content_Encoding=encoding).status_code == 200

    def test_a_form_is_not_read_from_json(self, probe):
        response = probe.post("/form", json={"username": "ada", "password": "x"})
        assert response.status_code == 415

    def test_a_body_that_is_too_large_is_413(self, bare, probe):
        assert post(probe, b" " * (bare.settings.web_max_body + 1)).status_code == 413

    def test_the_largest_body_is_read(self, bare, probe):
        raw = b'{"title": "a"}'
        assert post(probe, raw.ljust(bare.settings.web_max_body)).status_code == 200

    def test_a_large_form_is_413(self, bare, probe):
        data = {"username": "x" * bare.settings.web_max_body, "password": "x"}
        assert probe.post("/form", data=data).status_code == 413

    def test_a_large_upload_is_413(self, bare, probe, monkeypatch):
        """Above a limit of its own, which is higher than that of other bodies."""
        changed = bare.settings.model_copy(update={"web_max_upload": 2 * 1024 * 1024})
        monkeypatch.setattr(bare, "settings", changed)
        assert upload(probe, b"x" * bare.settings.web_max_body).status_code == 200
        assert upload(probe, b"x" * bare.settings.web_max_upload).status_code == 413

    def test_too_many_parts_are_413(self, probe):
        data = {f"part{number}": "x" for number in range(2000)}
        response = probe.post("/form", data=data, content_type="multipart/form-data")
        assert response.status_code == 413


class TestForm:
    @pytest.mark.parametrize(
        "text",
        [
            "12345678",
            '"bob"',
            "null",
            "true",
            "[1]",
            "{}",
            "1e5",
            "0",
            "1" * 5000,
            "[" * 5000,
            "NaN",
            " a ",
            "",
        ],
    )
    @pytest.mark.parametrize(
        "content_type", ["application/x-www-form-urlencoded", "multipart/form-data"]
    )
    def test_values_stay_text(self, probe, text, content_type):
        response = probe.post(
            "/form", data={"username": text, "password": text}, content_type=content_type
        )
        form = response.json["seen"]["form"]
        assert (form["username"], form["password"]) == (text, text)

    def test_a_number_is_read_where_one_is_declared(self, probe):
        response = probe.post("/form", data={"username": "a", "password": "b", "age": "36"})
        assert response.json["seen"]["form"]["age"] == 36

    def test_a_list_takes_every_value(self, probe):
        response = probe.post(
            "/form", data={"username": "a", "password": "b", "tags": ["1", "[2]"]}
        )
        assert response.json["seen"]["form"]["tags"] == ["1", "[2]"]

    def test_a_list_takes_a_single_value(self, probe):
        response = probe.post("/form", data={"username": "a", "password": "b", "tags": "1"})
        assert response.json["seen"]["form"]["tags"] == ["1"]

    def test_a_single_field_given_twice_is_refused(self, probe):
        response = probe.post("/form", data={"username": ["a", "b"], "password": "c"})
        assert fields(response) == {"form.username": "string_type"}

    def test_wrong_fields_are_named_at_once(self, probe):
        response = probe.post("/form", data={"age": "old", "more": "1"})
        assert fields(response) == {
            "form.username": "missing",
            "form.password": "missing",
            "form.age": "int_parsing",
            "form.more": "extra_forbidden",
        }

    def test_a_file_is_handed_to_the_view(self, probe):
        response = probe.post("/upload", data={"name": "a", "file": (io.BytesIO(b"text"), "a.txt")})
        assert response.json["seen"] == {"name": "a", "file": "text"}

    def test_two_files_in_one_field_are_refused(self, probe):
        files = [(io.BytesIO(b"one"), "1.txt"), (io.BytesIO(b"two"), "2.txt")]
        response = probe.post("/upload", data={"name": "a", "file": files})
        assert fields(response) == {"form.file": "value_error"}
        assert "Send exactly one file." in response.text

    def test_a_text_in_place_of_a_file_is_refused(self, probe):
        response = probe.post(
            "/upload", data={"name": "a", "file": "text"}, content_type="multipart/form-data"
        )
        assert list(fields(response)) == ["form.file"]

    @pytest.mark.parametrize(
        "content_type",
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=x",
        ],
    )
    def test_a_broken_multipart_body_is_refused(self, probe, content_type):
        response = probe.post("/form", data=b"--y\r\nrubbish", content_type=content_type)
        assert response.status_code in {400, 422}


class TestQuery:
    def test_is_read(self, probe):
        response = probe.get("/query?page=2&tags=a&tags=b&word=c&exact=true")
        assert response.json["seen"]["query"] == {
            "page": 2,
            "tags": ["a", "b"],
            "word": "c",
            "exact": True,
        }

    def test_may_be_left_out(self, probe):
        assert probe.get("/query").json["seen"]["query"]["page"] == 1

    @pytest.mark.parametrize(
        "query, kind",
        [
            ("page=0", "greater_than_equal"),
            ("page=", "int_parsing"),
            ("page=a", "int_parsing"),
            ("page=1.5", "int_parsing"),
            ("page=" + "9" * 5000, "int_parsing_size"),
            ("page=NaN", "int_parsing"),
            ("page=%00", "int_parsing"),
            ("page=1&page=2", "int_type"),
            ("word=a&word=b", "string_type"),
            ("word=" + "x" * 11, "string_too_long"),
            ("exact=maybe", "bool_parsing"),
            ("pgae=1", "extra_forbidden"),
            ("=1", "extra_forbidden"),
            ("page[]=1", "extra_forbidden"),
        ],
    )
    def test_a_wrong_value_is_refused(self, probe, query, kind):
        assert list(fields(probe.get(f"/query?{query}")).values()) == [kind]

    def test_all_wrong_values_are_named_at_once(self, probe):
        response = probe.get("/query?page=0&word=xxxxxxxxxxx&pgae=1")
        assert set(fields(response)) == {"query.page", "query.word", "query.pgae"}

    @pytest.mark.parametrize(
        "query", ["word=%", "word=%zz", "word=%ff", "word=%c0%80", "word=+", "&&&", "&"]
    )
    def test_bad_percent_encoding_is_text(self, probe, query):
        assert probe.get(f"/query?{query}").status_code == 200


class TestPath:
    def test_is_read(self, probe):
        assert probe.get("/path/7").json["seen"]["path"] == {"number": 7}

    @pytest.mark.parametrize("part", ["0", "a", "1.5", "%ff", "%00", "9" * 5000, "-1"])
    def test_a_wrong_value_is_refused(self, probe, part):
        assert list(fields(probe.get(f"/path/{part}"))) == ["path.number"]


class TestHeader:
    def test_is_read(self, probe):
        response = probe.get("/header", headers={"X-Tenant": "acme", "X-Level": "3"})
        assert response.json["seen"]["header"] == {"x_tenant": "acme", "x_level": 3}

    def test_a_missing_one_is_named(self, probe):
        assert fields(probe.get("/header")) == {"header.x_tenant": "missing"}

    def test_wrong_values_are_named_at_once(self, probe):
        response = probe.get("/header", headers={"X-Tenant": "x" * 11, "X-Level": "high"})
        assert fields(response) == {
            "header.x_tenant": "string_too_long",
            "header.x_level": "int_parsing",
        }


class TestSeveralLocations:
    def test_each_is_read(self, probe):
        response = probe.put("/all/7?page=2", json={"title": "a"}, headers={"X-Tenant": "acme"})
        seen = response.json["seen"]
        assert seen["header"]["x_tenant"] == "acme"
        assert seen["path"] == {"number": 7}
        assert seen["query"]["page"] == 2
        assert seen["body"]["title"] == "a"

    def test_wrong_fields_of_all_are_named_at_once(self, probe):
        response = probe.put("/all/0?page=0", json={"title": 1})
        assert fields(response) == {
            "header.x_tenant": "missing",
            "path.number": "greater_than_equal",
            "query.page": "greater_than_equal",
            "body.title": "string_type",
        }
