"""Regular expressions that a user wrote: linear in time, whatever they are, and refused with one line if wrong."""

from __future__ import annotations

from collections.abc import Callable

from goforensics.errors import UsageError

MEMORY = 8 << 20  # bytes that a compiled expression may take
LONGEST = 1000  # characters


def matcher(expression: str) -> Callable[[str], bool]:
    """Whether an expression, in RE2's syntax, is found anywhere in a text.  Raises UsageError for what is none."""
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = MEMORY, False
    if len(expression) > LONGEST:
        raise UsageError(f"an expression of {len(expression):,} characters: at most {LONGEST:,} are taken")
    try:
        search = re2.compile(expression, options).search
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else error
        said = reason.decode("utf-8", "backslashreplace") if isinstance(reason, bytes) else str(reason)
        raise UsageError(f"{expression!r} is no regular expression (RE2 syntax): {said}") from None
    return lambda text: search(text) is not None
