"""Flags: what one rebuild is told, as far as it changes the size of the executable."""

from __future__ import annotations

import msgspec


class Flags(msgspec.Struct, frozen=True):
    """A rebuild's flags on top of those that the file in hand was built with."""

    ldflags: tuple[str, ...] = ()  # "-s", "-w", "-w=0", "-buildid="
    trimpath: bool = False

    @property
    def label(self) -> str:
        """The flags as a person types them: "-trimpath -s -w"."""
        return " ".join((*(("-trimpath",) if self.trimpath else ()), *self.ldflags))


SAME = Flags()
