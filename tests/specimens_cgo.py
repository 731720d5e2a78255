"""Specimens of the rules on linking: programs that ask the system for something, and the same ones that do not."""

from __future__ import annotations

from specimens import Program, Specimen

from goforensics.policy import Policy

PURE = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("started") }\n'
C = """package main

// int answer(void) { return 42; }
import "C"

import "fmt"

func main() { fmt.Println("started", C.answer()) }
"""
NAMES = """package main

import (
	"fmt"
	"net"
	"os/user"
)

func main() {
	hosts, _ := net.LookupHost("localhost")
	who, _ := user.LookupId("0")
	fmt.Println("started", len(hosts), who != nil)
}
"""
EXTERNAL = "-ldflags=-linkmode=external"
STATIC = "-ldflags=-linkmode=external -extldflags=-static"
MUSL = (("CC", "musl-gcc"),)
ODD_LOADER = "/home/alice/lib/ld-linux-x86-64.so.2"
GLIBC_LOADER = "/lib64/ld-linux-x86-64.so.2"


def program(text: str, *flags: str, cgo: bool = False, env: tuple[tuple[str, str], ...] = ()) -> Program:
    """One file and its flags."""
    return Program((("main.go", text),), flags, cgo, env)


PLAIN = program(PURE)
PIE = program(PURE, "-buildmode=pie")
WITH_C = program(C, cgo=True)
C_STATIC = program(C, STATIC, cgo=True)
STATIC_PIE = program(C, "-buildmode=pie", "-ldflags=-linkmode=external -extldflags=-static-pie", cgo=True)
NAMES_C = program(NAMES, cgo=True)
NAMES_GO = program(NAMES, "-tags=netgo,osusergo", cgo=True)
NAMES_STATIC = program(NAMES, STATIC, cgo=True)
NAMES_GO_STATIC = program(NAMES, "-tags=netgo,osusergo", STATIC, cgo=True)

SPECIMENS: tuple[Specimen, ...] = (
    Specimen("cgo/target", "C on scratch", WITH_C, C_STATIC, GLIBC_LOADER),
    Specimen("cgo/target", "the resolver on alpine", NAMES_C, program(NAMES), GLIBC_LOADER),
    Specimen("cgo/target", "a loader and no library on scratch", PIE, PLAIN, GLIBC_LOADER),
    Specimen("cgo/target", "newer symbols than glibc 2.2", WITH_C, C_STATIC, "GLIBC_2."),
    Specimen("cgo/target", "another architecture", PLAIN, Program((("main.go", PURE),), goarch="arm64")),
    Specimen("cgo/floor", "dynamically linked", WITH_C, C_STATIC, "GLIBC_2."),
    Specimen("cgo/floor", "a loader and no library", PIE, PLAIN, GLIBC_LOADER),
    Specimen(
        "cgo/loader",
        "a loader in a home directory",
        program(C, f"{EXTERNAL} -extldflags=-Wl,--dynamic-linker={ODD_LOADER}", cgo=True),
        WITH_C,
        ODD_LOADER,
    ),
    Specimen(
        "cgo/libraries",
        "zlib",
        program(C, f"{EXTERNAL} '-extldflags=-Wl,--no-as-needed -l:libz.so.1'", cgo=True),
        WITH_C,
        "libz.so.1",
    ),
    Specimen("cgo/resolver", "net", NAMES_C, NAMES_GO, "getaddrinfo", "net"),
    Specimen("cgo/resolver", "os/user", NAMES_C, NAMES_GO, "os/user._C", "os/user"),
    Specimen("cgo/static-nss", "getaddrinfo in a static binary", NAMES_STATIC, NAMES_GO_STATIC, "libnss_"),
)
POLICIES: dict[str, Policy] = {
    "C on scratch": Policy(targets=("scratch",)),
    "the resolver on alpine": Policy(targets=("alpine",)),
    "a loader and no library on scratch": Policy(targets=("scratch", "debian:12")),
    "newer symbols than glibc 2.2": Policy(targets=("glibc:2.2",)),
    "another architecture": Policy(targets=("debian:12/arm64",)),
}
