"""Renderers: result documents in, text out.  None of them sees a binary.

The renderer of format F is the module `F` or `F_document` (where `F` is also the name of a library) of this
package, with a function `render(documents, many, view)`; or, of a format that is no text, `write(documents, path)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from goforensics.errors import UsageError

if TYPE_CHECKING:
    from goforensics.report import Document


@dataclass(frozen=True, slots=True)
class View:
    """How to show a document to a person; formats for machines take no notice."""

    top: int = 15  # rows of a listing
    width: int = 100  # columns of text
    color: bool = False
    ascii: bool = False  # where the output cannot carry block characters


class Renderer(Protocol):
    """What a renderer's module offers."""

    def render(self, documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
        """Text in pieces, to be written one after the other; `many` if several documents were asked for."""


class FileRenderer(Protocol):
    """What the module of a format offers that is no text."""

    def write(self, documents: Iterable[Document], path: Path) -> None:
        """Write the documents to the file `path`, or nothing if there are none."""


def render(document: Document, format: str, view: View | None = None) -> Iterator[str]:  # noqa: A002
    """One document as text.  Raises UsageError if there is no such format."""
    return render_all([document], format, many=False, view=view)


def render_all(
    documents: Iterable[Document],
    format: str,  # noqa: A002
    *,
    many: bool,
    view: View | None = None,
) -> Iterator[str]:
    """Documents as one text, each taken from the iterable only when the ones before are written."""
    return renderer(format).render(documents, many, view or View())


def renderer(format: str) -> Renderer:  # noqa: A002
    """The renderer of a format, imported now.  Raises UsageError if there is none."""
    module = _module(format)
    if not hasattr(module, "render"):
        raise UsageError(f"there is no format {format!r}")
    return cast(Renderer, module)


def file_renderer(format: str) -> FileRenderer | None:  # noqa: A002
    """The renderer of a format that is no text; None if it is one."""
    module = _module(format)
    return cast(FileRenderer, module) if hasattr(module, "write") else None


def _module(format: str) -> ModuleType | None:  # noqa: A002
    for name in (f"{format}_document", format):
        if name.isidentifier() and find_spec(f"{__name__}.{name}"):
            return importlib.import_module(f"{__name__}.{name}")
    return None
