"""`python -m goforensics`."""

from __future__ import annotations

import sys

from goforensics.cli import main

if __name__ == "__main__":
    sys.exit(main())
