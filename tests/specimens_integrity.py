"""Specimens of the rules on integrity that a build can plant; edits of the finished file are made in the tests."""

from __future__ import annotations

from specimens import Program, Specimen

PURE = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("started") }\n'
PLAIN = Program((("main.go", PURE),))
NAMELESS = Program((("main.go", PURE),), ("-ldflags=-X=runtime.buildVersion=unknown",))

SPECIMENS: tuple[Specimen, ...] = (
    Specimen("integrity/buildinfo", "a version that is none", NAMELESS, PLAIN, "unknown"),
)
