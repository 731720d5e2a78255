"""Specimens of the rules on hardening: what the linker was told to leave open, and the same programs closed."""

from __future__ import annotations

from specimens import Program, Specimen

from goforensics.policy import BuildRules, Policy

PURE = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("started") }\n'
C = """package main

// #include <string.h>
// int answer(const char *s) { char copy[64]; strncpy(copy, s, sizeof copy - 1); return copy[0]; }
import "C"

import "fmt"

func main() { fmt.Println("started", C.answer(C.CString("x"))) }
"""


def pure(*flags: str, **target: str) -> Program:
    """A program without C."""
    return Program((("main.go", PURE),), flags, **target)  # type: ignore[arg-type]


def linked(*flags: str, external: str = "", cflags: str = "-O2 -g") -> Program:
    """A program with C, linked by the system's linker with these flags."""
    ldflags = f"-ldflags=-linkmode=external '-extldflags={external}'"
    return Program((("main.go", C),), (*flags, ldflags), cgo=True, env=(("CGO_CFLAGS", cflags),))


# A function's address in the code itself is a relocation that the loader has to make there; a section that may be
# written and run gets a segment that may, too.
IN_CODE = ".text\\n.globl spot\\nspot: .quad answer\\n.previous\\n"
OPEN = '.section .open,\\"awx\\",@progbits\\n.quad 0\\n.previous\\n'
ASSEMBLY = """package main

// int answer(void) {{ return 42; }}
// __asm__("{}");
import "C"

import "fmt"

func main() {{ fmt.Println("started", C.answer()) }}
"""
SAFE = linked(external="-Wl,-z,relro,-z,now")
EXTERNAL = "-ldflags=-linkmode=external"
NONE, STRONG = "-O2 -g -fno-stack-protector", "-O2 -g -fstack-protector-strong"

SPECIMENS: tuple[Specimen, ...] = (
    Specimen("hardening/pie", "for one address", pure(), pure("-buildmode=pie"), "\x02\x00"),
    Specimen("hardening/pie", "C for one address", linked(external="-no-pie"), linked("-buildmode=pie"), "\x02\x00"),
    Specimen("hardening/stack", "an executable stack", linked(external="-Wl,-z,execstack"), SAFE, "\x07\x00\x00\x00"),
    Specimen("hardening/relro", "no relro", linked(external="-Wl,-z,norelro"), SAFE),
    Specimen("hardening/relro", "partial relro", linked(external="-Wl,-z,relro,-z,lazy"), SAFE),
    Specimen("hardening/relro", "partial relro of a pie", pure("-buildmode=pie"), pure()),
    Specimen("hardening/canary", "no canaries", linked(cflags=NONE), linked(cflags=STRONG)),
    Specimen(
        "hardening/wx",
        "a section that is open",
        Program((("main.go", ASSEMBLY.format(OPEN)),), (EXTERNAL,), cgo=True),
        SAFE,
    ),
    Specimen(
        "hardening/textrel",
        "an address in the code",
        Program(
            (("main.go", ASSEMBLY.format(IN_CODE)),),
            ("-buildmode=pie", f"{EXTERNAL} -extldflags=-Wl,-z,notext"),
            cgo=True,
        ),
        linked("-buildmode=pie"),
    ),
    Specimen("hardening/runpath", "a shared directory", linked(external="-Wl,-rpath,/tmp/lib"), SAFE, "/tmp/lib"),
    Specimen("hardening/runpath", "a relative one", linked(external="-Wl,-rpath,lib/x"), SAFE, "lib/x"),
    Specimen(
        "hardening/runpath",
        "a home directory",
        linked(external="-Wl,-rpath,/home/alice/lib"),
        linked(external="-Wl,-rpath,$ORIGIN/../lib"),
        "/home/alice/lib",
    ),
    Specimen("hardening/signature", "an unsigned exe", pure(goos="windows"), pure()),
    Specimen("hardening/signature", "signed ad hoc", pure(goos="darwin", goarch="arm64"), pure()),
)
POLICIES: dict[str, Policy] = {
    "for one address": Policy(build=BuildRules(require=("-buildmode=pie",))),
}
