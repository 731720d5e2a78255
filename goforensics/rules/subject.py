"""Subject: one executable image as rules see it; each fact is worked out once, when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar, cast

import goforensics.report as report
from goforensics.analysis import identity, mapping
from goforensics.binary import Binary
from goforensics.bytemap import ByteMap
from goforensics.containers.image import Dynamic, Image
from goforensics.errors import FormatError
from goforensics.sections import buildinfo
from goforensics.sections.buildinfo import BuildInfo

COLUMNS = ("section", "structure", "package", "module")  # of the byte map
T = TypeVar("T")


class Subject:
    """One image.  Offsets are in it."""

    def __init__(self, binary: Binary) -> None:
        self.binary = binary
        self._known: dict[Callable[[Subject], object], object] = {}

    def once(self, work: Callable[[Subject], T]) -> T:
        """`work(self)`, kept for all rules that ask for it.  What it raises is not kept."""
        if work not in self._known:
            self._known[work] = work(self)
        return cast(T, self._known[work])

    @property
    def image(self) -> Image:
        """The image."""
        return self.binary.image

    @cached_property
    def owners(self) -> mapping.Owners:
        """Its packages, modules and build information.  NotGoError if it is no Go executable."""
        return mapping.owners(self.binary)

    @property
    def build(self) -> report.Build:
        """Build information as recorded."""
        return self.owners.build

    @property
    def info(self) -> BuildInfo | None:
        """The same as parsed, None where the file has none."""
        return self.binary.maybe(buildinfo.PARSER)

    @property
    def settings(self) -> dict[str, str]:
        """Settings of the build: "-trimpath" -> "true", "CGO_ENABLED" -> "0"; empty if none are recorded."""
        return self.build.settings

    @cached_property
    def file(self) -> report.File:
        """What the file is."""
        return identity.file(self.binary, self.settings)

    @cached_property
    def dynamic(self) -> Dynamic:
        """What it asks of the dynamic linker; empty if it is static or the tables cannot be read."""
        try:
            return self.image.dynamic()
        except FormatError:
            return Dynamic()

    @cached_property
    def links(self) -> report.DynamicInfo:
        """The same with what is known of C code in it."""
        return identity.dynamic(self.binary, self.owners.packages)

    @cached_property
    def packages(self) -> frozenset[str]:
        """Import paths of packages that have code in it; empty without a function table."""
        found = self.owners.packages
        return frozenset(found.names[i] for i in set(found.codes.tolist())) if found else frozenset()

    @property
    def bytemap(self) -> ByteMap:
        """Who owns which bytes: columns section, structure, package, module.  FormatError if that cannot be told."""
        if isinstance(self._bytemap, FormatError):
            raise self._bytemap
        return self._bytemap

    @cached_property
    def _bytemap(self) -> ByteMap | FormatError:
        try:
            return mapping.image_map(self.binary, mapping.image_claims(self.binary, self.owners, COLUMNS), COLUMNS)
        except FormatError as error:
            return error

    @property
    def unmapped(self) -> FormatError | None:
        """Why the byte map could not be made, if it was asked for and could not."""
        found = self.__dict__.get("_bytemap")
        return found if isinstance(found, FormatError) else None

    def owner(self, offset: int) -> dict[str, str]:
        """Section, structure, package and module of one byte; of a file without a byte map the section alone."""
        if not isinstance(self._bytemap, FormatError):
            return self._bytemap.owner(offset)
        inside = (s.name for s in self.image.sections if s.offset <= offset < s.offset + s.file_size)
        return {"section": next(inside, "")}
