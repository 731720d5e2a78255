"""Programs with one path of a build machine planted, and the same programs without it."""

from __future__ import annotations

import toolchains
from specimens import Program, Specimen

MAIN = """package main

import (
	"fmt"
	"os"
)

var value = "unset"

func main() { fmt.Println(value, generated(len(os.Args))) }
"""
GENERATED = """package main

//line {path}:1
//go:noinline
func generated(n int) int {{
	if n > 1000 {{
		panic("too many arguments")
	}}
	return n * n
}}
"""
TRIMPATH = ("-trimpath",)
STRIPPED = ("-trimpath", "-ldflags=-s -w")


def program(path: str = "generated.go", flags: tuple[str, ...] = TRIMPATH) -> Program:
    """A program with one function whose //line directive names `path`."""
    return Program((("main.go", MAIN), ("generated.go", GENERATED.format(path=path))), flags)


GOOD = program()


def line(rule: str, name: str, path: str) -> Specimen:
    """A //line directive, which neither -trimpath nor -s -w touches."""
    return Specimen(f"paths/{rule}", name, program(path, STRIPPED), GOOD, path, "main")


def set_to(rule: str, name: str, path: str) -> Specimen:
    """A value of -X, which -trimpath hides from the build information alone."""
    return Specimen(f"paths/{rule}", name, program(flags=("-trimpath", f"-ldflags=-X main.value={path}")), GOOD, path)


EMBEDDED = """package main

import (
	_ "embed"
	"fmt"
)

//go:embed notes.txt
var notes string

func main() { fmt.Println(notes) }
"""


def embedded(text: str) -> Program:
    """A program that embeds a text."""
    return Program((("main.go", EMBEDDED), ("notes.txt", text)), TRIMPATH)


# The whole of main's one file is said to lie elsewhere, so that this is the main module's directory.
ELSEWHERE = Program((("main.go", "//line /srv/build/project/main.go:1\n" + EMBEDDED), ("notes.txt", "-")), STRIPPED)

C_MAIN = """package main

/*
int answer(void);
*/
import "C"
import "fmt"

func main() { fmt.Println(C.answer()) }
"""
C_FILE = """{line}int answer(void);

int answer(void) {{ return 42; }}
"""


def with_c(line: str = "", *flags: str) -> Program:
    """A program with a C file, linked by the system's linker."""
    files = (("main.go", C_MAIN), ("answer.c", C_FILE.format(line=line)))
    return Program(files, ("-trimpath", *flags), cgo=True)


# cmd/compile's own flag replaces a directory: programs are built below this one.
WINDOWS = rf"-gcflags=-trimpath={toolchains.cache_root()}=>D:\build"
PLAIN_DWARF = "-ldflags=-linkmode=external -compressdwarf=false"
RPATH = "-ldflags=-linkmode=external -extldflags=-Wl,-rpath,"

SPECIMENS: tuple[Specimen, ...] = (
    line("home", "line directive, Linux", "/home/alice/secret/gen.go"),
    line("home", "line directive, macOS", "/Users/alice.smith/secret/gen.go"),
    line("home", "a sandbox of Bazel", "/var/cache/_bazel_alice/0a1b/execroot/project/gen.go"),
    set_to("home", "-X", "/home/alice/project/settings.toml"),
    set_to("home", "-X, Windows", r"C:\Users\alice\project\settings.toml"),
    Specimen(
        "paths/home",
        "embedded",
        embedded("Notes that name /home/alice/notes and nothing else.\n"),
        embedded("Notes that name /home/user/notes, ~/notes and /etc/ssl/certs.\n"),
        "/home/alice/notes",
    ),
    Specimen(
        "paths/home",
        "run path",
        with_c("", RPATH + "/home/alice/lib"),
        with_c("", RPATH + "$ORIGIN/lib"),
        "/home/alice/lib",
    ),
    Specimen(
        "paths/home",
        "debug data of C",
        with_c('#line 1 "/home/alice/c/answer.c"\n', PLAIN_DWARF),
        with_c("", PLAIN_DWARF),
        "/home/alice/c",
    ),
    line("module-cache", "line directive", "/srv/cache/pkg/mod/example.com/dep@v1.0.0/dep.go"),
    line("gopath", "line directive", "/srv/go/src/git.example.com/team/gen.go"),
    line("ci", "GitHub", "/home/runner/work/project/project/gen.go"),
    line("ci", "GitLab", "/builds/group/project/gen.go"),
    line("ci", "Jenkins", "/var/lib/jenkins/workspace/release/gen.go"),
    line("ci", "Bazel", "/srv/bazel/sandbox/linux-sandbox/7/execroot/project/gen.go"),
    line("ci", "Nix", "/nix/store/0c7c5k3q6r9w1x8y2z4b5d6f7g8h9j0k-project-1.0/gen.go"),
    line("temporary", "Linux", "/tmp/build.X7aQ2/gen.go"),
    line("temporary", "macOS", "/private/var/folders/x1/y2z3/T/build/gen.go"),
    line("source-tree", "another directory", "/srv/generator/out/gen.go"),
    Specimen("paths/source-tree", "main module", ELSEWHERE, embedded("-"), "/srv/build/project/main.go", "main"),
    Specimen("paths/windows", "main module", program(flags=("-trimpath", WINDOWS)), GOOD, r"D:\build", "main"),
    Specimen("paths/goroot", "no -trimpath", program(flags=()), GOOD, "/src/internal/abi/type.go"),
)
