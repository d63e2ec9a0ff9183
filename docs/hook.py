"""What MkDocs does besides: fills the reference pages with the members of their modules."""  # noqa: INP001  loaded by MkDocs by its path

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
_MODULE = re.compile(r"^(## `(strongback\.[\w.]+)`)(\n\n.*)$", re.MULTILINE)
_OPTIONS = """
    options:
      show_root_heading: false
      show_root_toc_entry: false
      show_submodules: false
      show_docstring_modules: false
      heading_level: 3
"""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show the members of a module below the heading that names it.

    The page itself holds no directive of mkdocstrings, so that it also reads well as an article.
    """
    del config, files
    if not page.file.src_uri.startswith("reference/"):
        return markdown
    is_translation = page.file.src_uri.endswith(".zh.md")

    def expand(match: re.Match[str]) -> str:
        # The members begin with the module's own docstring, whose first line the summary is.
        summary = match[3] if is_translation else ""
        # A package only hands on what its modules define.
        is_package = ROOT.joinpath(*match[2].split(".")).is_dir()
        members = "      members: false\n" if is_package else ""
        return f"{match[1]}{summary}\n\n::: {match[2]}{_OPTIONS}{members}"

    return _MODULE.sub(expand, markdown)
