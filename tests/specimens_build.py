"""Specimens of the build rules."""

from __future__ import annotations

import hashlib
from datetime import datetime

from specimens import DATE, GO_MOD, Program, Specimen

from goforensics.policy import BuildRules, Policy

PRINTS = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("specimen") }\n'
USES = 'package main\n\nimport _ "{}"\n\nfunc main() {{}}\n'
LIBRARY = 'package dep\n\nimport "os"\n\nfunc init() { println(len(os.Args)) }\n'
REQUIRES = "module example.com/specimen\n\ngo 1.21\n\nrequire {} v1.2.3\n"
DEP, ELSEWHERE = "example.com/dep", "elsewhere.example/dep"
MAIN = (("main.go", PRINTS),)
PLAIN = Program(MAIN)
TRIMMED = Program(MAIN, ("-trimpath",))
STRIPPED = Program(MAIN, ("-trimpath", "-ldflags=-s -w"))
STAMPED = Program(MAIN, repository="clean")


def commit(program: Program) -> str:
    """The commit that its repository has, worked out as git does: of a program whose files lie in one directory."""
    files = sorted({"go.mod": GO_MOD, **dict(program.files)}.items())
    tree = b"".join(b"100644 %s\0%s" % (name.encode(), _hash("blob", text.encode())) for name, text in files)
    when = f"nobody <nobody@example.com> {int(datetime.fromisoformat(DATE).timestamp())} +0000"
    text = f"tree {_hash('tree', tree).hex()}\nauthor {when}\ncommitter {when}\n\nfirst\n"
    return _hash("commit", text.encode()).hex()


def _hash(kind: str, content: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(content), content)).digest()


def vendored(path: str, source: str, *, replaced: str = "", package: str = ".") -> Program:
    """A program with one dependency in its vendor directory, which needs no network and has a version all the same."""
    swap = f" => {replaced} v1.3.0" if replaced else ""
    mod = REQUIRES.format(path) + (f"\nreplace {path}{swap}\n" if swap else "")
    listed = f"# {path} v1.2.3{swap}\n## explicit; go 1.21\n{path}\n" + (f"# {path}{swap}\n" if swap else "")
    files = (
        ("go.mod", mod),
        ("main.go", USES.format(path) if package == "." else "package main\n\nfunc main() {}\n"),
        ("vendor/modules.txt", listed),
        (f"vendor/{path}/dep.go", source),
    )
    return Program(files, ("-mod=vendor",), package=package)


LOCAL = Program(
    (
        ("go.mod", f"{REQUIRES.format(DEP)}\nreplace {DEP} => ./local\n"),
        ("main.go", USES.format(DEP)),
        ("local/go.mod", f"module {DEP}\n"),
        ("local/dep.go", LIBRARY),
    )
)
GOPATH = Program(
    (("main.go", USES.format("./dep")), ("dep/dep.go", LIBRARY)),
    env=(("GO111MODULE", "off"),),
)
MODULE = Program((("main.go", USES.format("example.com/specimen/dep")), ("dep/dep.go", LIBRARY)))
NEEDED = vendored(DEP, LIBRARY)

SPECIMENS: tuple[Specimen, ...] = (
    Specimen("build/require", "nothing that is required", PLAIN, STRIPPED),
    Specimen(
        "build/forbid", "a tag", Program(MAIN, ("-tags=dev,netgo",)), Program(MAIN, ("-tags=netgo",)), "dev,netgo"
    ),
    Specimen("build/trimpath", "paths of the build machine", PLAIN, TRIMMED, "/main.go"),
    Specimen("build/vcs", "no repository", PLAIN, STAMPED),
    Specimen("build/vcs", "a list of files", Program(MAIN, repository="clean", package="main.go"), STAMPED),
    Specimen("build/modified", "a file not committed", Program(MAIN, repository="dirty"), STAMPED, "vcs.modified=true"),
    Specimen(
        "build/commit",
        "other sources",
        Program((("main.go", "package main\n\nfunc main() {}\n"),), repository="clean"),
        STAMPED,
        "vcs.revision=",
    ),
    Specimen(
        "build/version", "no version", PLAIN, vendored(DEP, PRINTS, package=DEP), "(devel)", "example.com/specimen"
    ),
    Specimen("build/version", "a list of files", Program(MAIN, package="main.go"), vendored(DEP, PRINTS, package=DEP)),
    Specimen("build/replace", "a directory", LOCAL, NEEDED, "./local", DEP),
    Specimen("build/replace", "another module", vendored(DEP, LIBRARY, replaced=ELSEWHERE), NEEDED, ELSEWHERE, DEP),
    Specimen("build/hosts", "a module from elsewhere", vendored(ELSEWHERE, LIBRARY), NEEDED, ELSEWHERE, ELSEWHERE),
    Specimen(
        "build/hosts", "a replacement from elsewhere", vendored(DEP, LIBRARY, replaced=ELSEWHERE), NEEDED, ELSEWHERE
    ),
    Specimen(
        "build/instrumented",
        "race detector",
        Program(MAIN, ("-race",), cgo=True),
        Program(MAIN, cgo=True),
        "-race=true",
    ),
    Specimen(
        "build/instrumented",
        "address sanitizer",
        Program(MAIN, ("-asan",), cgo=True),
        Program(MAIN, cgo=True),
        "-asan=true",
    ),
    Specimen("build/instrumented", "coverage", Program(MAIN, ("-cover",)), PLAIN),
    Specimen(
        "build/unoptimized", "for the debugger", Program(MAIN, ("-trimpath", "-gcflags=all=-N -l")), TRIMMED, "-N -l"
    ),
    Specimen(
        "build/testing", "imported", Program((("main.go", USES.format("testing")),)), PLAIN, "testing.", "testing"
    ),
    Specimen(
        "build/debug-endpoints",
        "pprof",
        Program((("main.go", USES.format("net/http/pprof")),)),
        PLAIN,
        "net/http/pprof.",
        "net/http/pprof",
    ),
    Specimen(
        "build/debug-endpoints", "expvar", Program((("main.go", USES.format("expvar")),)), PLAIN, "expvar.", "expvar"
    ),
    Specimen("build/modules", "outside of a module", GOPATH, MODULE, "/dep"),
)
POLICIES: dict[str, Policy] = {
    "build/require": Policy(build=BuildRules(require=("-trimpath", "-ldflags=-w -s", "CGO_ENABLED=0"))),
    "build/forbid": Policy(build=BuildRules(forbid=("-tags=dev",))),
    "build/commit": Policy(build=BuildRules(commit=commit(STAMPED)[:12])),
    "build/hosts": Policy(build=BuildRules(hosts=("example.com", "*.example.com"))),
}
