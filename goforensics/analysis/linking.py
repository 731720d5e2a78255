"""What a Linux binary asks of the system that runs it: a loader, libraries, versions of their symbols; and why.

Source of truth: the System V gABI and the GNU extensions of symbol versioning; musl's ldso/dynlink.c; Go's
src/cmd/link/internal/ld/elf.go (interpreters) and src/cmd/cgo/out.go (the files and functions that cgo makes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from posixpath import basename
from typing import Literal

import msgspec
import numpy as np

from goforensics.analysis.identity import CGO_FILES
from goforensics.analysis.packages import Packages
from goforensics.analysis.targets import Version
from goforensics.binary import Binary
from goforensics.containers.elf_dynamic import Import, VersionNeed
from goforensics.containers.image import Image
from goforensics.errors import FormatError
from goforensics.sections import pclntab
from goforensics.sections.arrays import strings

Libc = Literal["glibc", "musl", "other", "none"]
Place = tuple[str, int]  # a text and its offset in the image

# glibc's loaders by architecture: sysdeps/unix/sysv/linux/*/ldd-rewrite.sed and shlib-versions; s390x and ppc64 as
# distributions link them, with Go's own spelling beside.
GLIBC_LOADERS: dict[str, frozenset[str]] = {
    "amd64": frozenset({"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-x86-64.so.2"}),
    "386": frozenset({"/lib/ld-linux.so.2"}),
    "arm64": frozenset({"/lib/ld-linux-aarch64.so.1"}),
    "arm": frozenset({"/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.3"}),
    "ppc64": frozenset({"/lib64/ld64.so.1"}),
    "ppc64le": frozenset({"/lib64/ld64.so.2"}),
    "s390x": frozenset({"/lib/ld64.so.1", "/lib64/ld64.so.1"}),
    "riscv64": frozenset({"/lib/ld-linux-riscv64-lp64d.so.1"}),
    "loong64": frozenset({"/lib64/ld-linux-loongarch-lp64d.so.1"}),
    "mips": frozenset({"/lib/ld.so.1"}),
    "mipsle": frozenset({"/lib/ld.so.1"}),
    "mips64": frozenset({"/lib64/ld.so.1"}),
    "mips64le": frozenset({"/lib64/ld.so.1"}),
}
GLIBC_NAME = re.compile(r"ld-linux[\w.-]*\.so\.\d+|ld64\.so\.\d|ld\.so\.1")
MUSL_NAME = re.compile(r"ld-musl-[\w-]+\.so\.1")
NAMES = (
    "libc.so.6 libpthread.so.0 libdl.so.2 libm.so.6 librt.so.1 libresolv.so.2 libutil.so.1 libanl.so.1 libmvec.so.1 "
    "libnsl.so.1 libnss_dns.so.2 libnss_files.so.2 libthread_db.so.1 libBrokenLocale.so.1"
)
GLIBC_LIBRARIES = frozenset(NAMES.split())
MUSL_LIBRARY = re.compile(r"libc\.musl-[\w-]+\.so\.1|lib(?:c|pthread|rt|m|dl|util|xnet)\.so(?:\..*)?")  # `reserved`
GCC_LIBRARIES = frozenset({"libgcc_s.so.1", "libstdc++.so.6", "libatomic.so.1", "libgomp.so.1"})
VERSION = re.compile(r"(GLIBC|GCC|GLIBCXX)_(\d+(?:\.\d+)*)")
# GLIBC_ABI_DT_RELR came with glibc 2.36 (its NEWS): the promise to read DT_RELR relocations.
ABI: dict[str, tuple[str, Version]] = {"GLIBC_ABI_DT_RELR": ("GLIBC", (2, 36))}
# The first GCC that has each version of libstdc++: gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html.
GLIBCXX: tuple[tuple[Version, Version], ...] = (
    ((3, 4, 13), (4, 4)),
    ((3, 4, 19), (4, 8)),
    ((3, 4, 20), (4, 9)),
    ((3, 4, 21), (5,)),
    ((3, 4, 22), (6,)),
    ((3, 4, 24), (7,)),
    ((3, 4, 25), (8,)),
    ((3, 4, 28), (9,)),
    ((3, 4, 29), (11,)),
    ((3, 4, 30), (12,)),
    ((3, 4, 32), (13,)),
    ((3, 4, 33), (14,)),
    ((3, 4, 34), (15,)),
)
STD_CGO = frozenset({"net", "os/user", "runtime/cgo"})  # of those packages that have a pure Go version


class Linking(msgspec.Struct, frozen=True):
    """What the file asks of the dynamic linker; offsets are of the texts, in the image."""

    interpreter: Place | None
    needed: list[Place]
    versions: list[VersionNeed]
    imports: list[Import]

    @property
    def static(self) -> bool:
        """It asks for nothing."""
        return self.interpreter is None and not self.needed

    @property
    def libc(self) -> Libc:
        """The C library that it was linked against, by the loader, else by the libraries."""
        if self.interpreter is not None:
            return _libc_of(self.interpreter[0])
        names = [name for name, _ in self.needed]
        if any(name.startswith("libc.musl-") or name == "libc.so" for name in names):
            return "musl"
        return "glibc" if any(name in GLIBC_LIBRARIES for name in names) else "other" if names else "none"

    def asks(self, family: str, above: Version = ()) -> list[tuple[Version, VersionNeed]]:
        """Versions of GLIBC, GLIBCXX or GCC that are newer than `above`, newest first; what is weak is left out."""
        parsed = [(numbered(need.version), need) for need in self.versions if not need.weak]
        found = [(name[1], need) for name, need in parsed if name is not None and name[0] == family]
        return sorted(((n, need) for n, need in found if n > above), key=lambda pair: (pair[0], pair[1].library))[::-1]

    def users(self, need: VersionNeed) -> list[Import]:
        """The symbols that ask for a version."""
        return sorted(
            (i for i in self.imports if (i.version, i.library) == (need.version, need.library)),
            key=lambda i: (i.name, i.offset),
        )


def read(image: Image) -> Linking:
    """Read it; only ELF tells.  FormatError if the dynamic tables cannot be read."""
    from goforensics.containers.elf import ElfImage

    if not isinstance(image, ElfImage):
        raise FormatError("not an ELF file", structure="dynamic segment", absent=True)
    needed = image.dynamic_texts("DT_NEEDED")
    return Linking(image.interpreter(), needed, image.version_needs(), _imports(image))


def _imports(image: Image) -> list[Import]:
    """They only explain: a file whose symbols cannot be read still says which versions it asks for."""
    from goforensics.containers.elf import ElfImage

    assert isinstance(image, ElfImage)
    try:
        return image.imports()
    except FormatError:
        return []


def _libc_of(interpreter: str) -> Libc:
    name = basename(interpreter)
    if MUSL_NAME.fullmatch(name):
        return "musl"
    return "glibc" if GLIBC_NAME.fullmatch(name) else "other"


def numbered(name: str) -> tuple[str, Version] | None:
    """GLIBC_2.34 as ("GLIBC", (2, 34)); None for a version that has no place in an order, such as GLIBC_PRIVATE."""
    match = VERSION.fullmatch(name)
    if match is None:
        return ABI.get(name)
    return match[1], tuple(min(int(part), 1 << 32) for part in match[2][:64].split(".") if part)


def gcc_of(name: tuple[str, Version]) -> Version:
    """The first GCC whose libgcc_s or libstdc++ has a version."""
    family, numbers = name
    if family == "GCC":
        return numbers
    return next((gcc for least, gcc in GLIBCXX if numbers <= least), (GLIBCXX[-1][1][0] + 1,))


def loader_is_there(interpreter: str, arch: str, libc: str) -> bool:
    """Whether an image with that C library has the file that PT_INTERP names."""
    if libc == "musl":
        return bool(re.fullmatch("/lib/" + MUSL_NAME.pattern, interpreter))
    if libc != "glibc":
        return False
    known = GLIBC_LOADERS.get(arch)
    return interpreter in known if known is not None else bool(GLIBC_NAME.fullmatch(basename(interpreter)))


def cgo_packages(binary: Binary, packages: Packages | None) -> dict[str, Place]:
    """The packages that bring C in, each with the name of a function that cgo made for it, and where that stands.

    Empty without a function table, and where an obfuscator renamed what cgo writes.
    """
    table = binary.maybe(pclntab.PARSER)
    if table is None or packages is None:
        return {}
    files, number = np.unique(table.entry_file, return_inverse=True)
    made = np.array([basename(name) in CGO_FILES for name in strings(table.data, files)], bool)[number]
    found: dict[str, Place] = {}
    for row in np.flatnonzero(made).tolist():
        package, at = packages.names[packages.codes[row]], int(table.funcs.name[row])
        found.setdefault(package, (strings(table.data, np.array([at]))[0], table.offset + at))
    return {name: found[name] for name in sorted(found) if name}


def only_std(packages: Iterable[str]) -> bool:
    """Whether C comes from packages of the standard library alone, all of which have pure Go versions."""
    return set(packages) <= STD_CGO


def foreign(linking: Linking) -> Iterator[Place]:
    """NEEDED libraries that are neither of a C library nor of GCC."""
    for name, at in linking.needed:
        base = basename(name)
        known = base in GLIBC_LIBRARIES | GCC_LIBRARIES or MUSL_LIBRARY.fullmatch(base) or GLIBC_NAME.fullmatch(base)
        if not known and not MUSL_NAME.fullmatch(base):
            yield name, at
