"""Made-up result documents, for renderers and the command line: no binary is needed to test how a report looks."""

from __future__ import annotations

from typing import Any

import msgspec

from goforensics.report import (
    Build,
    DwarfInfo,
    DynamicInfo,
    File,
    HeavyFunction,
    InlinedFunction,
    Inlining,
    Inspection,
    LeakGroup,
    Leaks,
    Module,
    PclntabInfo,
    Reclaimable,
    SectionRow,
    SizeRow,
    Sizes,
    Stripped,
    SymtabInfo,
)

SIZE = 36_123_456
PARTS = {
    "header": 72,
    "funcnametab": 1_204_551,
    "cutab": 88_128,
    "filetab": 221_004,
    "pctab": 3_512_901,
    "functab": 344_120,
    "_func": 2_891_776,
    "findfunctab": 60_400,
    "padding": 48,
}
BY_KIND = {
    ".text": {"dependency": 8_000_000, "std": 3_200_000, "runtime": 601_234, "main": 40_000},
    ".gopclntab": {"dependency": 5_000_000, "std": 2_200_000, "shared": 1_123_000},
    ".rodata": {"section-only": 4_600_123},
    ".debug_info": {"debug": 3_900_000},
    ".symtab": {"symbols": 1_100_000},
    ".strtab": {"symbols": 1_400_000},
    ".debug_line": {"debug": 1_600_000},
    ".debug_frame": {"debug": 420_000},
    ".data": {"section-only": 130_000},
    ".noptrdata": {"section-only": 90_000},
    ".itablink": {"metadata": 12_000},
    "(headers)": {"metadata": 1_056},
}
LIST = {".text": 0x1000, ".rodata": 0xB4A000, ".gopclntab": 0x1200000, ".symtab": 0x2000000}


def sample(path: str = "./bin/app") -> Inspection:
    """An executable with something to say under every heading but "unread"."""
    return Inspection(
        file=File(
            path, SIZE, "ab" * 32, "elf", "linux", "amd64", 64, "little", "exe", "internal", Stripped(False, False)
        ),
        build=_build(),
        sections=[_section(name, offset) for name, offset in LIST.items()],
        pclntab=PclntabInfo(
            *("1.20", 0x1200000, sum(PARTS.values()), 43_015, 2_411, PARTS, ".gopclntab", "0xfffffff1"),
            recommendation="inlining takes 812,345 bytes of tables and 1,201,002 of code in 60,123 copies",
        ),
        symtab=SymtabInfo(61_234, 2_500_000),
        dwarf=DwarfInfo(5, 5_920_000, 14_300_000, 412, 410, 2),
        dynamic=_dynamic(),
        leaks=_leaks(),
        sizes=_sizes(),
        heaviest=_heaviest(),
        reclaimable=[
            Reclaimable("-w", 5_920_000, SIZE - 5_920_000, False, 4_096, ["debuggers' view of types and variables"]),
            Reclaimable("-s -w", 8_420_000, SIZE - 8_420_000, False, 4_096, ["go tool nm", "debuggers", "perf"]),
            Reclaimable("-trimpath", 61_000, SIZE - 61_000, False, 30_000, ["-ldflags in go version -m"]),
        ],
        modules=_modules(),
        unread=[],
        inlining=Inlining(60_123, 4_012, 1_201_002, 500_000, 212_345, 100_000),
        inlined=[
            InlinedFunction("strings.(*Builder).WriteString", "strings", 399, 59_487, 6_384, 2_665),
            InlinedFunction(
                "example.com/shop/app/cart.(*Cart).Total", "example.com/shop/app/cart", 83, 9_911, 1_328, 219
            ),
        ],
    )


def hostile(document: Inspection, text: str) -> Inspection:
    """The same document with `text` in every string that could come from a file."""
    return msgspec.convert(_with_text(msgspec.to_builtins(document), text), Inspection)


def _with_text(value: Any, text: str, key: str = "") -> Any:
    fixed = {"schema", "format", "byte_order", "link_mode", "kind", "ranked_by", "action", "goos", "view", "known"}
    if isinstance(value, str):
        return value if key in fixed else f"{value[:4]}{text}{value[4:]}"
    if isinstance(value, dict):
        free = key in {"settings", "parts", "symbol_versions"}
        return {(f"{k}{text}" if free else k): _with_text(v, text, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_text(item, text, key) for item in value]
    return value


def _build() -> Build:
    main = Module("example.com/shop/app", "(devel)", None, None, True)
    modules = [
        Module("github.com/gin-gonic/gin", "v1.10.0", "h1:abc=", None),
        Module("google.golang.org/grpc", "v1.64.0", "h1:def=", None),
    ]
    settings = {"-buildmode": "exe", "-compiler": "gc", "CGO_ENABLED": "1", "GOOS": "linux", "vcs.modified": "true"}
    return Build(
        go_version="go1.26.6",
        path="example.com/shop/app/cmd/app",
        main=main,
        modules=modules,
        settings=settings,
        go_build_id="Xk2/aaaa/bbbb/cccc",
        gnu_build_id=None,
        version_source="buildinfo",
    )


def _section(name: str, offset: int) -> SectionRow:
    total = sum(BY_KIND[name].values())
    return SectionRow(name, offset, total, total, 0x400000 + offset, None, None)


def _dynamic() -> DynamicInfo:
    return DynamicInfo(
        interpreter="/lib64/ld-linux-x86-64.so.2",
        needed=["libc.so.6", "libresolv.so.2"],
        rpath=[],
        runpath=["/home/alice/lib"],
        symbol_versions={"libc.so.6": "GLIBC_2.34"},
        cgo=True,
        c_text_bytes=34_112,
    )


def _leaks() -> Leaks:
    groups = [
        LeakGroup(
            "/home/alice/go/pkg/mod",
            "module-cache",
            1_702,
            142_331,
            ["filetab", "dwarf"],
            [
                "/home/alice/go/pkg/mod/github.com/gin-gonic/gin@v1.10.0/context.go",
                "/home/alice/go/pkg/mod/google.golang.org/grpc@v1.64.0/internal/transport/http2_client.go",
            ],
        ),
        LeakGroup(
            "/usr/local/go", "goroot", 690, 24_001, ["filetab", "dwarf", "rodata"], ["/usr/local/go/src/fmt/print.go"]
        ),
        LeakGroup(
            "/home/alice/src/shop", "main-module", 19, 1_102, ["filetab"], ["/home/alice/src/shop/cmd/app/main.go"]
        ),
        LeakGroup("/home/alice/lib", "home", 1, 15, ["runpath"], []),
    ]
    return Leaks(sum(g.count for g in groups), sum(g.bytes for g in groups), groups)


def _sizes() -> Sizes:
    rows = [SizeRow(name, [name], kind, n) for name, of in BY_KIND.items() for kind, n in of.items()]  # type: ignore[arg-type]
    rest = SIZE - sum(row.bytes for row in rows)
    rows.append(SizeRow("(padding)", ["(padding)"], "padding", rest))
    return Sizes(["section"], sorted(rows, key=lambda r: -r.bytes), total=SIZE)


def _modules() -> Sizes:
    rows = [
        SizeRow("google.golang.org/grpc", ["google.golang.org/grpc"], "dependency", 9_000_000),
        SizeRow("std", ["std"], "std", 5_000_000),
        SizeRow("std", ["std"], "runtime", 601_234),
        SizeRow("(debug)", ["(debug)"], "debug", 5_920_000),
    ]
    rest = SIZE - sum(row.bytes for row in rows)
    return Sizes(["module"], [SizeRow("(metadata)", ["(metadata)"], "metadata", rest), *rows], total=SIZE)


def _heaviest() -> list[HeavyFunction]:
    return [
        HeavyFunction("main.main", "main", 44_120, 40_100, 1_200, 90_412, ["pclntab", "pcdata"]),
        HeavyFunction(
            "google.golang.org/grpc/internal/transport.(*http2Client).reader",
            "google.golang.org/grpc/internal/transport",
            31_000,
            12_345,
            800,
            30_100,
            ["pclntab"],
        ),
        HeavyFunction("unicode.init", "unicode", 21_011, 20_500, 0, 44_000, ["pcdata"]),
    ]
