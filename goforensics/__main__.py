"""The program: `goforensics` and `python -m goforensics`."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line, and be gone without taking apart what the system frees at once: a tenth of a second."""
    # NumPy's linear algebra, which nothing here uses, would keep a thread per processor spinning.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from goforensics.cli import main

    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed: main has said what there is to say
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
