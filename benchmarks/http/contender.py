"""Who is compared, and how each is served."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version


@dataclass(frozen=True, slots=True)
class Contender:
    """One framework, as one module of `benchmarks.http.app` uses it."""

    name: str
    title: str
    packages: tuple[str, ...]
    servers: tuple[tuple[str, int], ...] = (("gunicorn", 16),)
    """Names of servers, each with its number of threads."""
    is_asgi: bool = False

    @property
    def module(self) -> str:
        return f"benchmarks.http.app.{self.name}"

    @property
    def versions(self) -> str:
        return ", ".join(f"{package} {version(package)}" for package in self.packages)


UVICORN = (("uvicorn", 1),)
# Threads that only compute wait for each other's interpreter lock: one thread shows how much.
OUR_SERVERS = (("gunicorn", 16), ("granian", 16), ("granian", 1))
CONTENDERS = {
    item.name: item
    for item in (
        Contender("bare", "bare Flask", ("flask", "werkzeug"), (("gunicorn", 16), ("granian", 16))),
        Contender("bare_orjson", "bare Flask + orjson", ("orjson",)),
        Contender("openapi", "flask-openapi", ("flask-openapi", "pydantic")),
        Contender("apiflask_marshmallow", "APIFlask (marshmallow)", ("apiflask", "marshmallow")),
        Contender("apiflask_pydantic", "APIFlask (pydantic)", ("apiflask", "pydantic")),
        Contender("smorest", "flask-smorest", ("flask-smorest", "marshmallow")),
        Contender(
            "fastapi_async",
            "FastAPI, async def",
            ("fastapi", "starlette"),
            UVICORN,
            is_asgi=True,
        ),
        Contender("fastapi_def", "FastAPI, def", ("fastapi", "starlette"), UVICORN, is_asgi=True),
        Contender("strongback", "Strongback", ("flask-openapi", "pydantic"), OUR_SERVERS),
    )
}
BARE, OURS, FASTAPI = "bare", "strongback", "fastapi_async"
PEERS = ("bare", "openapi", "apiflask_marshmallow", "apiflask_pydantic", "smorest")
"""Flask and its frameworks, against which the list is compared."""
