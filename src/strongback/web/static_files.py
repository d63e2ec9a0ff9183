"""Static files: their folders, their addresses, and who serves them.

In development the files are served as they lie in their folders, and browsers ask each time whether
they have changed. `flask static build` copies them to names that hold a hash of their content, with
compressed versions beside them; where `WEB_STATIC_DIR` names that folder, these are served, and a
browser keeps them for ever.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote
from wsgiref.headers import Headers
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from markupsafe import Markup
from whitenoise import WhiteNoise

from strongback.collision import Names
from strongback.exceptions import ConfigurationError
from strongback.static_manifest import read_manifest

ADDRESS = "/static/"
HASHED = re.compile(r"\.([0-9a-f]{12})(\.|$)")
"""The hash in the name of a built file."""
_REFUSED = re.compile(r";\s*q=0(\.0*)?\s*(,|$)")
"""A weight by which a client refuses an encoding."""
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


class StaticFiles:
    """The static files of an application.

        app.static_files.add("shop", Path(__file__).parent / "static")
        app.static_files.name("basket", "shop/basket.js")

    A template names a file by `{{ static("shop/shop.css") }}`, a module another one by
    `import { total } from "basket"`, or by its path (`./basket.js`). `built` is the folder that
    `flask static build` has written; None in development.
    """

    def __init__(self, built: Path | None = None) -> None:
        self.built = built
        self._folders: dict[str, Path] = {}
        self._plain: set[str] = set()
        self._entries: set[str] = set()
        self._bare: dict[str, str] = {}
        self._names, self._bare_names = Names("static folder"), Names("module name")
        self._server: WhiteNoise | None = None

    def add(
        self, name: str, folder: Path, *, has_modules: bool = True, entries: Iterable[str] = ()
    ) -> None:
        """Serve the files of a folder at `/static/<name>/`.

        Args:
            name: Name of the slice or part that the files belong to.
            folder: Folder of the files; a name that begins with a dot is left out.
            has_modules: Whether its JavaScript is modules, which the import map lists.
            entries: Scripts that pages load and no module imports, by their paths in the folder:
                the import map, which each page carries, leaves them out.

        Raises:
            ConfigurationError: The name is taken or invalid, or there is no such folder or entry.
        """
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"static folder {name}: begin with a small letter, and use a-z, 0-9, - and _ alone"
            )
        if not folder.is_dir():
            raise ConfigurationError(f"static folder {name}: there is no folder {folder}")
        self._names.claim(name, str(folder))
        self._folders[name] = folder
        if not has_modules:
            self._plain.add(name)
        self._entries |= {self._checked(f"{name}/{entry}") for entry in entries}
        if self._server is not None and self.built is None:
            self._server.add_files(folder, ADDRESS + name)
        self._forget_map()

    def name(self, bare: str, file: str) -> None:
        """Let modules import `shop/basket.js` as `basket`; `ConfigurationError` if taken."""
        self._bare_names.claim(bare, file)
        self._bare[bare] = file
        self._forget_map()

    def files(self) -> Iterator[tuple[str, Path]]:
        """The name and the path of each file, in the order of the names."""
        for name, folder in sorted(self._folders.items()):
            for path in sorted(folder.rglob("*")):
                parts = path.relative_to(folder).parts
                if path.is_file() and not any(part.startswith(".") for part in parts):
                    yield "/".join((name, *parts)), path

    def url(self, file: str) -> str:
        """The address of a file: of `shop/shop.css`, `/static/shop/shop.0123456789ab.css`.

        Raises:
            ConfigurationError: There is no such file, or it has not been built.
        """
        return ADDRESS + quote(self._built_name(file) if self.built else self._checked(file))

    def integrity(self, file: str) -> str:
        """The checksum of a built file for an attribute `integrity`; empty in development."""
        return self._manifest["integrity"].get(file, "") if self.built else ""

    def script(self, file: str) -> Markup:
        """The element that loads a module, with the checksum that no import map has; see `url`."""
        checksum = self.integrity(file) if file in self._entries else ""
        attribute = Markup(' integrity="{}"').format(checksum) if checksum else ""
        element = Markup('<script type="module" src="{}"{}></script>')
        return element.format(self.url(file), attribute)

    def check(self) -> str:
        """Say how the files are served; `ConfigurationError` if one is to be built and is not."""
        if self.built is None:
            return "Static files are served as they lie in their folders"
        for file, _ in self.files():
            self._built_name(file)
        return f"Static files are built: {self.built}"

    @cached_property
    def import_map(self) -> str:
        """The import map as JSON, for `<script type="importmap">`.

        It has the bare names, and of a built folder also the own address and checksum of each
        module that others may import: no file has to be rewritten for its imports to find what has
        another name now.

        Raises:
            ConfigurationError: A file that has a bare name is missing.
        """
        modules = [] if self.built is None else [*self._modules()]
        imports = {bare: self.url(file) for bare, file in self._bare.items()}
        imports |= {ADDRESS + quote(file): self.url(file) for file in modules}
        known: dict[str, Any] = {"imports": imports}
        if checksums := {self.url(file): self.integrity(file) for file in modules}:
            known["integrity"] = checksums
        # In a script element, `<` could end it.
        return json.dumps(known, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")

    @cached_property
    def import_map_hash(self) -> str:
        """What a Content-Security-Policy allows the import map by: `'sha256-…'`."""
        return f"'{checksum(self.import_map.encode(), 'sha256')}'"

    def in_front_of(self, application: WSGIApplication) -> WSGIApplication:
        """Serve the files, and leave all other requests to the application."""
        server = WhiteNoise(
            application,
            autorefresh=self.built is None,
            max_age=None,
            allow_all_origins=False,
            add_headers_function=_add_headers,
            immutable_file_test=lambda _, url: HASHED.search(url) is not None,
        )
        if self.built is None:
            for name, folder in self._folders.items():
                server.add_files(folder, ADDRESS + name)
        elif self.built.is_dir():
            server.add_files(self.built, ADDRESS)
        self._server = server

        def served(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if not path.startswith(ADDRESS):
                return application(environ, start_response)
            # WhiteNoise refuses a range of one byte, and ignores If-Range. A server may always send
            # the whole file (RFC 9110, 14.2).
            environ.pop("HTTP_RANGE", None)
            if _REFUSED.search(environ.get("HTTP_ACCEPT_ENCODING", "")):
                environ["HTTP_ACCEPT_ENCODING"] = ""  # it reads no weights
            try:
                response: Iterable[bytes] = server(environ, start_response)
            except FileNotFoundError:  # pruned since the start
                return application(environ, start_response)
            return response

        return served

    def _modules(self) -> Iterator[str]:
        for file in self._manifest["paths"]:
            folder = file.partition("/")[0]
            is_module = folder in self._folders.keys() - self._plain and file not in self._entries
            if is_module and file.endswith((".js", ".mjs")):
                yield file

    def _checked(self, file: str) -> str:
        name, _, path = file.partition("/")
        folder = self._folders.get(name)
        if folder is None:
            known = ", ".join(sorted(self._folders))
            raise ConfigurationError(f"static file {file}: no folder is named {name} ({known})")
        if not path or not (folder / path).is_file():
            raise ConfigurationError(f"static file {file}: there is no {path} in {folder}")
        return file

    def _built_name(self, file: str) -> str:
        try:
            return self._manifest["paths"][file]
        except KeyError:
            raise ConfigurationError(
                f"static file {file}: not among those built in {self.built}; if that is its name,"
                " build them again: flask static build"
            ) from None

    @cached_property
    def _manifest(self) -> dict[str, dict[str, str]]:
        return read_manifest(self.built) if self.built else {"paths": {}, "integrity": {}}

    def _forget_map(self) -> None:
        for name in ("import_map", "import_map_hash"):
            self.__dict__.pop(name, None)


def checksum(content: bytes, algorithm: str) -> str:
    """The checksum of content as browsers compare it: `sha384-…`."""
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm}-{base64.b64encode(digest).decode()}"


def _add_headers(headers: Headers, _: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if found := HASHED.search(url):
        headers["ETag"] = f'"{found[1]}"'  # the same on every machine
    else:
        headers["Cache-Control"] = "no-cache"
