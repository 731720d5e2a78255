"""Specimens of the size rules."""

from __future__ import annotations

from specimens import Program, Specimen

from goforensics.policy import Policy, SizeRules

PRINTS = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("specimen") }\n'
SILENT = "package main\n\nfunc main() {}\n"
STRIPPED = "-ldflags=-s -w"
BUDGET = 1_600_000  # bytes: a stripped program without imports has fewer, one with fmt and debug data more
LARGE = Program((("main.go", PRINTS),))

SPECIMENS: tuple[Specimen, ...] = (
    Specimen("size/budget", "fmt and debug data", LARGE, Program((("main.go", SILENT),), (STRIPPED,))),
    Specimen("size/debug-data", "plain go build", LARGE, Program((("main.go", PRINTS),), (STRIPPED,)), "main.main"),
    Specimen("size/reclaimable", "plain go build", LARGE, Program((("main.go", PRINTS),), ("-trimpath", STRIPPED))),
)
POLICIES: dict[str, Policy] = {
    "size/budget": Policy(size=SizeRules(max=BUDGET)),
    "size/reclaimable": Policy(size=SizeRules(reclaimable=0.2)),
}
