"""Programs with a name of the house planted, and the same programs without it."""

from __future__ import annotations

from specimens import Program, Specimen

from goforensics.policy import InternalRules, Policy

MAIN = """package main

import "fmt"

var value = "unset"

func main() { fmt.Println(value) }
"""
PRIVATE = """package main

import (
	"fmt"

	"git.corp.example/team/inner/deep"
)

func main() { fmt.Println(deep.Name()) }
"""
DEEP = """package deep

import "os"

//go:noinline
func Name() string { return os.Args[0] }
"""
MODULES = """module example.com/specimen

go 1.21

require git.corp.example/team/inner v0.0.0

replace git.corp.example/team/inner => ./inner
"""


def set_to(value: str) -> Program:
    """A program with one value of -X."""
    return Program((("main.go", MAIN),), ("-trimpath", f"-ldflags=-X main.value={value}"))


def private(path: str) -> Program:
    """A program that uses a module of this path."""
    files = (
        ("go.mod", MODULES),
        ("main.go", PRIVATE),
        ("inner/deep/deep.go", DEEP),
        ("inner/go.mod", "module git.corp.example/team/inner\n"),
    )
    return Program(
        tuple((name, text.replace("git.corp.example/team", path)) for name, text in files),
        ("-trimpath", "-ldflags=-s -w"),
    )


RULES = InternalRules(
    hosts=("*.corp.example",), modules=("git.corp.example/*",), patterns={"project": "(?i)project-(?:falcon|heron)"}
)
POLICIES = {
    name: Policy(internal=RULES) for name in ("internal/host", "internal/module", "internal/pattern", "internal/user")
}
SPECIMENS: tuple[Specimen, ...] = (
    Specimen(
        "internal/host",
        "-X",
        set_to("https://ci.corp.example/x"),
        set_to("https://ci.example.com/x"),
        "ci.corp.example",
        "main",
    ),
    Specimen(
        "internal/module",
        "replaced",
        private("git.corp.example/team"),
        private("git.example.com/team"),
        "git.corp.example/team/inner",
    ),
    Specimen("internal/pattern", "-X", set_to("Project-Heron"), set_to("project-sparrow"), "Project-Heron", "main"),
    Specimen(
        "internal/user", "machine", set_to("alice@buildhost"), set_to("team@example.com"), "alice@buildhost", "main"
    ),
    Specimen(
        "internal/user",
        "policy",
        set_to("alice@ci.corp.example"),
        set_to("tool@v1.2.3"),
        "alice@ci.corp.example",
        "main",
    ),
)
