"""Options that several commands have, with the checks that need nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from goforensics.errors import UsageError
from goforensics.question import VIEWS, columns, parse_filter

Command = TypeVar("Command", bound=Callable[..., Any])


def column_names(text: str) -> tuple[str, ...]:
    """Comma-separated columns of the byte map.  Raises click's BadParameter for one that is not there."""
    try:
        return columns([name.strip() for name in text.split(",")])
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def _filters(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The values of `--filter`, once they make sense."""
    try:
        return tuple(str(parse_filter(text)) for text in value)
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


view_option = click.option(
    "--view",
    type=click.Choice(VIEWS),
    default="owned",
    show_default=True,
    help="owned: each byte once, and bytes that several packages use are (shared); apportioned: shared bytes divided "
    "by the number of uses.",
)
filter_option = click.option(
    "--filter",
    "filters",
    metavar="COLUMN=VALUE",
    multiple=True,
    callback=_filters,
    help="Only rows with this value, as listings show it; net/... is net and everything below.  May be given several "
    "times: all must hold.",
)
output_option = click.option("-o", "--output", metavar="OUT", help="Write to this file instead of standard output.")


def top_option(text: str) -> Callable[[Command], Command]:
    """`--top N`; `text` says what it limits."""
    return click.option("--top", metavar="N", type=click.IntRange(min=1), default=15, show_default=True, help=text)
