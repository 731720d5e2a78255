"""Does the function table's list of files show that the build was not trimmed?"""

from __future__ import annotations

from goforensics.analysis.paths import ABSOLUTE, is_leak
from goforensics.clues import recorded
from goforensics.rebuild.trimmed import is_trimmed
from goforensics.rules.protocol import Hit, UnknownError
from goforensics.rules.subject import Subject

MOST = 3  # places that are shown


def untrimmed(subject: Subject) -> list[Hit]:
    """Some source files that go by a path of the build machine; none if the build was trimmed.

    Only the standard library's and the main package's count: code that a generator or cgo made has paths of its own.
    UnknownError if there is no such list, and no record either.
    """
    try:
        table, owners = recorded.table(subject)
    except UnknownError:
        recorded.complete(subject)
        return [recorded.absent("-trimpath is not recorded")]
    main = owners.directory.get("main", "")
    if is_trimmed(table.files) and not ABSOLUTE.match(main):
        return []
    roots = tuple(root for root in (main, owners.directory.get("runtime", "")) if ABSOLUTE.match(root))
    at = table.file_offsets.tolist()
    mine = [i for i, name in enumerate(table.files) if is_leak(name) and name.startswith(roots)] if roots else []
    mine.sort(key=lambda i: not table.files[i].startswith(f"{main}/") if main else False)
    return [Hit(table.files[i], "filetab", table.offset + at[i], len(table.files[i].encode())) for i in mine[:MOST]]
