"""Text for a person: a document of schema "goforensics.NAME/N" is shown by the module `text_NAME`.

Colour comes only when `view` says so.  Names from the file under test reach the terminal through `plain` and
`rich.text.Text`; nothing is ever parsed as markup.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from rich.console import Console, RenderableType

from goforensics.renderers import View
from goforensics.report import Document

ASCII = str.maketrans({"█": "#", "▌": "#", "✓": "+", "✗": "x", "→": ">", "…": "~", "±": "~", "·": "-", "≥": ">="})
NARROWEST = 40

Parts = Callable[[Any, View], Iterator[RenderableType]]


def render(documents: Iterable[Document], many: bool, view: View) -> Iterator[str]:
    """Documents one after the other, a blank line between the parts."""
    separator = ""
    for document in documents:
        for part in _parts(document)(document, view):
            yield separator + _text(part, view)
            separator = "\n"
        separator = "\n\n"


def _parts(document: Document) -> Parts:
    schema = cast(str, getattr(document, "schema", ""))
    name = schema.removeprefix("goforensics.").partition("/")[0]
    return cast(Parts, importlib.import_module(f"goforensics.renderers.text_{name}").parts)


def _text(part: RenderableType, view: View) -> str:
    """One part as lines without trailing spaces."""
    console = Console(
        file=io.StringIO(),
        width=max(view.width, NARROWEST),
        force_terminal=view.color,
        color_system="standard" if view.color else None,
        no_color=not view.color,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},
    )
    console.print(part)
    text = "".join(line.rstrip() + "\n" for line in cast(io.StringIO, console.file).getvalue().splitlines())
    return text.translate(ASCII) if view.ascii else text
