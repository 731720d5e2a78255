"""The linker's own truth about a build: every symbol it placed, and every reference from one to another.

Go's cmd/link, built from a pinned release's own sources with a few calls added, writes what its loader knows when
addresses are final. The build is then done as always but for the linker, and the executable that comes out must be,
byte for byte, the one that the release's own linker makes: what was dumped is thus true of that executable.

Only the internal linker's work can be told: after an external one the addresses are somebody else's.
"""

from __future__ import annotations

import argparse
import filecmp
import functools
import hashlib
import json
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import builds
import numpy as np
import numpy.typing as npt
import toolchains

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Strings: TypeAlias = npt.NDArray[np.str_]
Arguments: TypeAlias = Callable[[Path], list[str]]

DUMP_VARIABLE = "GOFORENSICS_LINK_DUMP"
STRIPPED = ("-trimpath", builds.STRIP)

# Where an object's symbols are numbered: once the loader has cloned a symbol it no longer knows that it was
# content-addressable, but the maps that found its duplicates do.
_LOADER_SOURCE = """package loader

var contentAddressed = make(map[Sym]bool)

func (st *loadState) noteContentAddressed() {
	for _, s := range st.hashed64Syms {
		contentAddressed[s.sym] = true
	}
	for _, s := range st.hashedSyms {
		contentAddressed[s.sym] = true
	}
}

func (l *Loader) ContentAddressed(i Sym) bool { return contentAddressed[i] }
"""

# Written as the archive that numpy.load reads, so that nothing has to be converted.
_DUMP_SOURCE = """package ld

import (
	"archive/zip"
	"cmd/link/internal/loader"
	"cmd/link/internal/sym"
	"encoding/binary"
	"fmt"
	"os"
	"sort"
	"strings"
)

type truthStrings struct {
	codes map[string]int64
	names []string
}

func (t *truthStrings) code(name string) int64 {
	code, known := t.codes[name]
	if !known {
		code = int64(len(t.names))
		t.codes[name] = code
		t.names = append(t.names, name)
	}
	return code
}

type truthSymbol struct {
	s       loader.Sym
	outer   loader.Sym
	address int64
}

type truthDump struct {
	ctxt    *Link
	symbols []truthSymbol
	index   map[loader.Sym]int64
	archive *zip.Writer
}

func (d *truthDump) add(s, outer loader.Sym, address int64) {
	if _, known := d.index[s]; !known {
		d.index[s] = 0
		d.symbols = append(d.symbols, truthSymbol{s, outer, address})
	}
}

// placed adds what has a section of its own. A symbol in .tbss has an offset where others have an address.
func (d *truthDump) placed() {
	ldr := d.ctxt.loader
	for s := loader.Sym(1); s < loader.Sym(ldr.NSym()); s++ {
		if !ldr.AttrReachable(s) {
			continue
		}
		sect := ldr.SymSect(s)
		if sect != nil && sect.Seg != nil && sect.Seg != &Segdwarf && sect.Name != ".tbss" {
			d.add(s, ldr.OuterSym(s), ldr.SymValue(s))
		}
	}
}

// pcdata adds what runtime.pctab is made of: such a symbol's value is its offset in the table.
func (d *truthDump) pcdata() {
	ldr := d.ctxt.loader
	pctab := ldr.Lookup("runtime.pctab", 0)
	for _, fn := range d.ctxt.Textp {
		info := ldr.FuncInfo(fn)
		if !info.Valid() {
			continue
		}
		info.Preload()
		pcsp, pcfile, pcline, pcinline, tables := ldr.PcdataAuxs(fn, nil)
		tables = append(tables, pcsp, pcfile, pcline)
		if info.NumInlTree() > 0 {
			tables = append(tables, pcinline)
		}
		for _, s := range tables {
			if s != 0 && ldr.SymSize(s) > 0 && ldr.SymValue(s) > 0 {
				d.add(s, pctab, ldr.SymValue(pctab)+ldr.SymValue(s))
			}
		}
	}
}

// funcdata adds what go:func.* is made of where it is a part of pclntab, since Go 1.26: values are offsets there too.
func (d *truthDump) funcdata() {
	ldr := d.ctxt.loader
	table := ldr.Lookup("go:func.*", 0)
	if table == 0 || ldr.SymSect(table) == nil || ldr.OuterSym(table) != ldr.Lookup("runtime.pclntab", 0) {
		return
	}
	for s := loader.Sym(1); s < loader.Sym(ldr.NSym()); s++ {
		if ldr.AttrReachable(s) && ldr.AttrSpecial(s) && ldr.SymSect(s) == nil && ldr.SymSize(s) > 0 {
			d.add(s, table, ldr.SymValue(table)+ldr.SymValue(s))
		}
	}
}

func (d *truthDump) order() {
	ldr := d.ctxt.loader
	sort.SliceStable(d.symbols, func(i, j int) bool {
		a, b := d.symbols[i], d.symbols[j]
		if a.address != b.address {
			return uint64(a.address) < uint64(b.address)
		}
		return ldr.SymSize(a.s) > ldr.SymSize(b.s)
	})
	for i, symbol := range d.symbols {
		d.index[symbol.s] = int64(i)
	}
}

func (d *truthDump) at(s loader.Sym) int64 {
	if i, known := d.index[s]; known {
		return i
	}
	return -1
}

func (d *truthDump) array(name, format string, length int, values interface{}) {
	w, err := d.archive.Create(name + ".npy")
	if err != nil {
		Exitf("%v", err)
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }", format, length)
	header += strings.Repeat(" ", 63-(len(header)+10)%64) + "\\n"
	fmt.Fprintf(w, "\\x93NUMPY\\x01\\x00%c%c%s", len(header), 0, header)
	if err := binary.Write(w, binary.LittleEndian, values); err != nil {
		Exitf("%v", err)
	}
}

func (d *truthDump) ints(name string, values []int64) { d.array(name, "<i8", len(values), values) }

func (d *truthDump) flags(name string, values []bool) { d.array(name, "|b1", len(values), values) }

func (d *truthDump) strings(name string, values []string) {
	ends := make([]int64, len(values))
	end := 0
	for i, value := range values {
		end += len(value)
		ends[i] = int64(end)
	}
	d.ints(name+"_ends", ends)
	d.array(name+"_bytes", "|u1", end, []byte(strings.Join(values, "")))
}

// truthKinds is what symtab makes of kinds, which dodata overwrites with those of whole sections.
var truthKinds []sym.SymKind

func noteTruthKinds(groups []sym.SymKind) { truthKinds = append([]sym.SymKind(nil), groups...) }

func (d *truthDump) kind(s loader.Sym) string {
	if int(s) < len(truthKinds) && truthKinds[s] != sym.Sxxx {
		return truthKinds[s].String()
	}
	return d.ctxt.loader.SymType(s).String()
}

func (d *truthDump) writeSymbols() {
	ldr, n := d.ctxt.loader, len(d.symbols)
	packages, sections, kinds := truthTable(), truthTable(), truthTable()
	names, hashed, dupok := make([]string, n), make([]bool, n), make([]bool, n)
	pkg, section, kind := make([]int64, n), make([]int64, n), make([]int64, n)
	address, size, outer := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, symbol := range d.symbols {
		s, home := symbol.s, symbol.s
		if ldr.SymSect(s) == nil {
			home = symbol.outer
		}
		names[i], hashed[i], dupok[i] = ldr.SymName(s), ldr.ContentAddressed(s), ldr.AttrDuplicateOK(s)
		pkg[i], kind[i] = packages.code(ldr.SymPkg(s)), kinds.code(d.kind(s))
		section[i] = sections.code(ldr.SymSect(home).Name)
		address[i], size[i], outer[i] = symbol.address, ldr.SymSize(s), d.at(symbol.outer)
	}
	d.strings("name", names)
	d.strings("packages", packages.names)
	d.strings("sections", sections.names)
	d.strings("kinds", kinds.names)
	d.ints("package", pkg)
	d.ints("section", section)
	d.ints("kind", kind)
	d.ints("address", address)
	d.ints("size", size)
	d.ints("outer", outer)
	d.flags("content_addressed", hashed)
	d.flags("duplicate_ok", dupok)
}

func (d *truthDump) writeRelocs() {
	ldr, types := d.ctxt.loader, truthTable()
	var source, offset, size, kind, target, addend []int64
	var weak []bool
	for i, symbol := range d.symbols {
		relocs := ldr.Relocs(symbol.s)
		for j := 0; j < relocs.Count(); j++ {
			r := relocs.At(j)
			source, target = append(source, int64(i)), append(target, d.at(r.Sym()))
			offset, size = append(offset, int64(r.Off())), append(size, int64(r.Siz()))
			kind, addend = append(kind, types.code(r.Type().String())), append(addend, r.Add())
			weak = append(weak, r.Weak())
		}
	}
	d.strings("reloc_types", types.names)
	d.ints("source", source)
	d.ints("offset", offset)
	d.ints("reloc_size", size)
	d.ints("reloc_type", kind)
	d.ints("target", target)
	d.ints("addend", addend)
	d.flags("weak", weak)
}

func truthTable() *truthStrings { return &truthStrings{codes: make(map[string]int64)} }

func dumpTruth(ctxt *Link) {
	path := os.Getenv("@VARIABLE@")
	if path == "" {
		return
	}
	if ctxt.LinkMode != LinkInternal {
		Exitf("only an internal link can be dumped")
	}
	file, err := os.Create(path)
	if err != nil {
		Exitf("%v", err)
	}
	d := &truthDump{ctxt: ctxt, index: make(map[loader.Sym]int64), archive: zip.NewWriter(file)}
	d.placed()
	d.pcdata()
	d.funcdata()
	d.order()
	d.writeSymbols()
	d.writeRelocs()
	if err := d.archive.Close(); err != nil {
		Exitf("%v", err)
	}
	if err := file.Close(); err != nil {
		Exitf("%v", err)
	}
}
""".replace("@VARIABLE@", DUMP_VARIABLE)

# The file of cmd/link/internal, a line that it has once, and the call that goes behind that line. Sizes in a carrier
# such as go:string.* are final before address(); what comes after it only adds symbols for the symbol table.
_CALLS = (
    ("loader/loader.go", "l.nhashedsyms = len(st.hashed64Syms) + len(st.hashedSyms)", "st.noteContentAddressed()"),
    ("ld/main.go", "symGroupType := ctxt.symtab(pclnState)", "noteTruthKinds(symGroupType)"),
    ("ld/main.go", "order := ctxt.address()", "dumpTruth(ctxt)"),
)
_ADDED = {"loader/goforensics_truth.go": _LOADER_SOURCE, "ld/goforensics_truth.go": _DUMP_SOURCE}

# A go build runs its tools through this; of them it replaces the linker, which answers -V=full as the original does.
_TOOLEXEC = """#!/bin/sh
case "$1" in
*/link) shift; exec "$(dirname "$0")/link" "$@" ;;
esac
exec "$@"
"""


class TruthError(RuntimeError):
    """A link that could not be repeated, or that did not come out as the original."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The symbols of an executable in the order of their addresses, and their relocations; all indices are of symbols.

    Of a content-addressed symbol, and of one that may be duplicated, `package` is merely one of those that have it; the
    parts of runtime.pctab have no name. A symbol with an `outer` lies in that container; the innermost ones do not
    overlap. `section` is the linker's name for it (.shstrtab too has an address here if it lies among what is loaded),
    and `kind` is sym.SymKind's String. `target` is -1 for what has no address here: a marker, thread-local data, a
    method or weak target that is not linked. A relocation of `reloc_size` 0 changes no byte; `reloc_type` indexes
    `reloc_types`.
    """

    path: Path
    name: list[str]
    package: list[str]
    address: npt.NDArray[np.uint64]
    size: Ints
    section: Strings
    kind: Strings
    outer: Ints
    container: Bools
    content_addressed: Bools
    duplicate_ok: Bools
    source: Ints
    offset: Ints
    reloc_size: Ints
    reloc_type: Ints
    target: Ints
    addend: Ints
    weak: Bools
    reloc_types: list[str]


@dataclass(frozen=True)
class _Recipe:
    """A go build: its command line for an output, and where and how it is run."""

    key: str
    go: str
    arguments: Arguments
    cwd: Path
    env: dict[str, str] = field(repr=False)


def _run(command: list[str], env: dict[str, str], cwd: Path) -> None:
    result = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if result.returncode:
        raise TruthError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")


@functools.cache
def _patch_hash() -> str:
    return hashlib.sha256(repr((_CALLS, _ADDED, _TOOLEXEC)).encode()).hexdigest()[:12]


def _called(text: str, line: str, call: str) -> str:
    """Put the call behind the line; a release that has it twice or not at all needs another patch."""
    if text.count(line) != 1:
        raise TruthError(f"not once in the linker's sources: {line}")
    return text.replace(line, f"{line}\n\t{call}")


def _overlay(go: str, work: Path) -> Path:
    """Write the patched files and the map that has the go command read them in the place of the toolchain's own."""
    internal = toolchains.goroot(go) / "src" / "cmd" / "link" / "internal"
    files = {name: (internal / name).read_text() for name, _, _ in _CALLS} | _ADDED
    for name, line, call in _CALLS:
        files[name] = _called(files[name], line, call)
    replaced: dict[str, str] = {}
    for name, text in files.items():
        place = work / name.replace("/", "_")
        place.write_text(text)
        replaced[str(internal / name)] = str(place)
    overlay = work / "overlay.json"
    overlay.write_text(json.dumps({"Replace": replaced}))
    return overlay


def linker(go: str) -> Path:
    """Return the folder of a release's patched linker and of the script that puts it into a go build."""
    final = toolchains.cache_root() / "linktruth" / "linkers" / f"go{toolchains.PINNED[go]}-{_patch_hash()}"
    if not final.is_dir():
        with toolchains.staging(final) as work:
            command = [str(builds.go_command(go)), "build", "-buildvcs=false", f"-overlay={_overlay(go, work)}"]
            env = toolchains.go_env(go) | {"CGO_ENABLED": "0"}
            _run([*command, "-o", str(work / "link"), "cmd/link"], env, toolchains.goroot(go) / "src")
            (work / "toolexec").write_text(_TOOLEXEC)
            (work / "toolexec").chmod(0o755)
    return final


def _relink(recipe: _Recipe, expected: Path, work: Path) -> None:
    """Leave the dump in `work`, after making sure that it is of the expected executable."""
    output = work / "relinked"
    go, verb, *rest = recipe.arguments(output)
    toolexec = f"-toolexec={shlex.quote(str(linker(recipe.go) / 'toolexec'))}"
    _run([go, verb, toolexec, *rest], recipe.env | {DUMP_VARIABLE: str(work / "truth.npz")}, recipe.cwd)
    if not filecmp.cmp(output, expected, shallow=False):
        raise TruthError(f"the patched linker makes another executable of {recipe.key}")
    output.unlink()


def _folder(recipe: _Recipe) -> Path:
    return toolchains.cache_root() / "linktruth" / f"{recipe.key}_{_patch_hash()}"


def _strings(arrays: Any, name: str) -> list[str]:
    data, ends = arrays[f"{name}_bytes"].tobytes(), arrays[f"{name}_ends"].tolist()
    return [data[start:end].decode("utf-8", "surrogateescape") for start, end in zip([0, *ends], ends, strict=False)]


def _coded(arrays: Any, name: str) -> Strings:
    coded: Strings = np.array(_strings(arrays, f"{name}s"), np.str_)[arrays[name]]
    return coded


def _load(dump: Path, path: Path) -> Truth:
    same = ("size", "outer", "content_addressed", "duplicate_ok", "source", "offset", "reloc_size", "reloc_type")
    with np.load(dump) as arrays:
        packages = _strings(arrays, "packages")
        container = np.zeros(len(arrays["outer"]), np.bool_)
        container[arrays["outer"][arrays["outer"] >= 0]] = True
        return Truth(
            path=path,
            name=_strings(arrays, "name"),
            package=[packages[code] for code in arrays["package"]],
            address=arrays["address"].view(np.uint64),
            section=_coded(arrays, "section"),
            kind=_coded(arrays, "kind"),
            container=container,
            reloc_types=_strings(arrays, "reloc_types"),
            **{name: arrays[name] for name in (*same, "target", "addend", "weak")},
        )


def truth(build: builds.Build) -> Truth:
    """Return the linker's truth of a build's executable; TruthError if it is not linked internally."""

    def arguments(output: Path) -> list[str]:
        return builds._arguments(build, output)

    cwd, key = builds.source_directory(build.program), builds.cached_path(build).parent.name
    recipe = _Recipe(key, build.go, arguments, cwd, builds._environment(build))
    folder, path = _folder(recipe), builds.executable(build)
    if not folder.is_dir():
        with toolchains.staging(folder) as work:
            _relink(recipe, path, work)
    return _load(folder / "truth.npz", path)


def _go_recipe(minor: str, goarch: str) -> _Recipe:
    def arguments(output: Path) -> list[str]:
        command = [str(builds.go_command(minor)), "build", "-buildvcs=false", *STRIPPED]
        return [*command, "-o", str(output), "cmd/go"]

    env = toolchains.go_env(minor) | {"GOOS": "linux", "GOARCH": goarch, "CGO_ENABLED": "0"}
    key = f"cmd-go_go{toolchains.PINNED[minor]}_linux_{goarch}"
    return _Recipe(key, minor, arguments, toolchains.goroot(minor) / "src", env)


def truth_of_go(minor: str, goarch: str = "amd64") -> Truth:
    """Return the linker's truth of the go command itself, built for Linux with -trimpath and without symbols."""
    recipe = _go_recipe(minor, goarch)
    folder = _folder(recipe)
    if not folder.is_dir():
        with toolchains.staging(folder) as work:
            _run(recipe.arguments(work / "go"), recipe.env, recipe.cwd)
            _relink(recipe, work / "go", work)
    return _load(folder / "truth.npz", folder / "go")


def _summary(found: Truth) -> list[str]:
    """Count symbols and bytes; a container's bytes are its parts', so they are not counted again."""
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    innermost = ~found.container
    for section, kind, size in zip(found.section[innermost], found.kind[innermost], found.size[innermost], strict=True):
        counts[section, kind] += 1
        sizes[section, kind] += int(size)
    lines = [f"{key[0]:24} {key[1]:20} {counts[key]:>9} {sizes[key]:>12}" for key in sorted(counts)]
    total = f"{len(found.name)} symbols, {int(found.content_addressed.sum())} of them content-addressed"
    return [*lines, f"{total}; {len(found.source)} relocations", str(found.path)]


def main(arguments: Sequence[str]) -> int:
    """Print how many symbols and bytes the linker put where."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("program", choices=[*builds.FLOOR, "cmd/go"])
    parser.add_argument("--go", default=toolchains.NEWEST, choices=toolchains.minors())
    parser.add_argument("--goos", default="linux")
    parser.add_argument("--goarch", default="amd64")
    parser.add_argument("--flags", nargs=argparse.REMAINDER, help="all that follows; default -trimpath, stripped")
    chosen = parser.parse_args(arguments)
    flags = STRIPPED if chosen.flags is None else tuple(chosen.flags)
    if chosen.program == "cmd/go":
        found = truth_of_go(chosen.go, chosen.goarch)
    else:
        found = truth(builds.Build(chosen.program, chosen.go, chosen.goos, chosen.goarch, flags))
    print("\n".join(_summary(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
