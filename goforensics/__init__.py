"""Binary forensics for Go executables.

`open(path)` gives a Binary, whose structures are read when asked for; `inspect(path)` gives the whole account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
