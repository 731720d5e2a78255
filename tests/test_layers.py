"""Imports go down the list, never up and never sideways: read this to learn the architecture."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path

import goforensics

ROOT = Path(goforensics.__file__).parent
LAYERS = [  # a module may import from the lines above its own
    ("errors", "sets"),
    ("bytemap", "bytesizes", "patterns", "question", "report"),
    ("report_compare", "options", "output"),
    ("report_matrix", "report_audit", "report_gate", "report_pcdata", "report_disasm"),
    ("policy", "policytoml", "report_policy", "rules"),
    ("containers.image", "containers.source", "containers.recognise"),
    ("containers.elf_dynamic", "containers.lief_support"),
    ("containers.elf", "containers.pe", "containers.macho"),
    ("containers.load",),
    ("sections.protocol", "sections.arrays", "sections.quoted", "sections.search", "sections.gcprogram"),
    (
        "sections.dwarf_reader",
        "sections.region",
        "sections.codepadding",
        "sections.code_x86",
        "sections.code_risc",
    ),
    ("sections.typewalk", "sections.code_references"),
    ("sections.pcheader", "sections.pctables", "sections.compression", "sections.dwarf_forms", "sections.dwarf_paths"),
    ("sections.moduledata", "sections.dwarf_units", "sections.symtab", "sections.buildid"),
    ("sections.pclntab", "sections.dwarf", "sections.dwarf_lines", "sections.references"),
    (
        "sections.pcparts",
        "sections.functions",
        "sections.goversion",
        "sections.types",
        "sections.inltree",
        "sections.dwarf_parts",
    ),
    ("sections.arglive",),
    ("sections.itabs", "sections.inittasks", "sections.gostrings", "sections.funcdata", "sections.calls"),
    ("sections.inlined", "sections.slotnames"),
    ("sections.buildinfo", "sections.pcitems"),
    ("binary",),
    ("analysis.targets", "analysis.contentid", "analysis.extent", "analysis.hardening"),
    (
        "analysis.texts",
        "analysis.instructions",
        "analysis.onefunction",
        "analysis.referents",
        "analysis.transitions",
        "analysis.uninlined",
        "analysis.packages",
        "analysis.modules",
        "analysis.paths",
        "analysis.objects",
        "analysis.wellknown",
        "analysis.loadorder",
        "analysis.gaps",
    ),
    ("analysis.owners", "analysis.vocabulary", "analysis.levers", "analysis.stringlengths", "analysis.causes"),
    (
        "analysis.totals",
        "analysis.coderefs",
        "analysis.samecode",
        "analysis.samedata",
        "analysis.methods",
        "analysis.differences",
    ),
    ("analysis.matching", "analysis.disasm", "analysis.callers", "analysis.tables", "analysis.conclusion"),
    ("analysis.whys",),
    ("analysis.evidence", "analysis.code_bytes"),
    ("analysis.data",),
    ("analysis.data_bytes", "analysis.symbol_bytes", "analysis.debug_bytes", "analysis.pclntab_bytes"),
    ("analysis.inlining", "analysis.shares"),
    ("analysis.callees", "analysis.pcdata"),
    ("analysis.heaviest", "analysis.leaks", "analysis.sizes"),
    ("analysis.identity", "analysis.listing", "analysis.leakplaces"),
    ("analysis.linking",),
    ("analysis.mapping",),
    ("analysis.ladder",),
    ("rebuild.flags", "rebuild.contents"),
    ("rebuild.elf_headers", "rebuild.line_tables", "rebuild.moves", "rebuild.modinfo", "rebuild.trimmed"),
    (
        "rebuild.relaid",
        "rebuild.goroot",
        "rebuild.guess",
        "rebuild.c_dwarf",
        "rebuild.dyld_info",
        "rebuild.base_relocations",
        "rebuild.postlink",
        "rebuild.strip",
    ),
    ("rebuild.changes", "rebuild.elf", "rebuild.elf_external", "rebuild.macho", "rebuild.pe"),
    ("rebuild.layouts",),
    ("rebuild.predict",),
    ("rebuild.reclaim",),
    ("rebuild.savings",),
    ("analysis.inspect", "analysis.maprows", "analysis.pcreport"),
    ("analysis.compare", "analysis.gate"),
    ("matrix.flagsets", "matrix.processes", "matrix.compressed"),
    ("matrix.gocommand", "matrix.startup", "matrix.predictions", "matrix.recommend"),
    ("matrix.copying", "matrix.measure"),
    ("matrix.twice",),
    ("matrix.builder",),
    ("rules.subject",),
    ("rules.protocol",),
    ("clues.strings", "clues.places", "clues.grouping", "clues.recorded", "clues.requirements", "clues.headers"),
    ("clues.trimming", "clues.vcs", "clues.linker_values", "clues.names", "clues.paths_in_strings"),
    ("clues.secret_shapes", "clues.flags"),
    ("clues.secret_tokens", "clues.secret_keys", "clues.secret_urls", "clues.secret_assignments", "clues.paths"),
    ("clues.secrets",),
    ("rules.*",),
    ("rules.catalogue",),
    ("policychecks",),
    ("policyfile", "audit.walk", "audit.workers"),
    ("audit.findings", "audit.template"),
    ("audit.remedy",),
    ("audit.engine", "audit.baseline"),
    ("audit.examine", "audit.explain"),
    ("audit.ask", "audit.run"),
    ("api",),
    ("renderers",),
    ("renderers.plain", "renderers.json_document", "renderers.parquet_document"),
    ("renderers.shorter",),
    ("renderers.csv_pcdata",),
    ("renderers.progress", "renderers.text_tables", "renderers.csv_document", "renderers.matrix_tables"),
    ("renderers.text_reclaim", "renderers.text_audit", "renderers.text_policycheck", "renderers.text_policy"),
    ("renderers.text_audits", "renderers.text_rule", "renderers.toml"),
    ("renderers.text_verdicts", "renderers.text_sizes", "renderers.text_map", "renderers.text_pcdata"),
    ("renderers.text_matrix", "renderers.markdown_matrix", "renderers.csv_matrix"),
    ("renderers.text_inspect",),
    ("renderers.text_compare", "renderers.text_gate", "renderers.text_disasm", "renderers.markdown_document"),
    ("renderers.markdown_gate",),
    ("renderers.text",),
    ("commands",),
    ("commands.*",),
    ("cli",),
    ("__main__",),
]
# Packages whose __init__ files hold no code.
PACKAGES = {"analysis", "audit", "clues", "matrix", "rebuild", "containers", "sections", "schemas"}
ONE_IMPORTER = {
    "lief": {"containers.lief_support"},
    "rich": {"renderers"},
    "duckdb": {"renderers.parquet_document"},
    "capstone": {"analysis.instructions"},
    "re2": {"patterns"},
}
SEVERAL = {"elftools": {"containers.elf", "containers.elf_dynamic"}}


def layer(module: str) -> int:
    found = [i for i, row in enumerate(LAYERS) if module in row]
    return found[0] if found else next(i for i, row in enumerate(LAYERS) if any(fnmatch(module, p) for p in row))


def modules() -> dict[str, Path]:
    names = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in ROOT.rglob("*.py")
    }
    return {name: path for name, path in names.items() if name not in {"__init__", *PACKAGES}}


def imported(path: Path) -> set[str]:
    """Every dotted name `path` may import, lazily and for type checkers too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def own(names: set[str]) -> set[str]:
    return {name.removeprefix("goforensics.") for name in names if name.startswith("goforensics.")}


def test_every_module_has_a_layer() -> None:
    for module in modules():
        layer(module)


def test_imports_go_down() -> None:
    known = modules()
    wrong = [
        f"{module} imports {used}"
        for module, path in sorted(known.items())
        for used in sorted(own(imported(path)) & known.keys())
        if layer(used) >= layer(module)
    ]
    assert not wrong


def test_each_library_has_one_importer() -> None:
    wrong = [
        f"{module} imports {library}"
        for module, path in modules().items()
        for library, allowed in {**ONE_IMPORTER, **SEVERAL}.items()
        for name in imported(path)
        if name.split(".")[0] == library and not any(module == a or module.startswith(a + ".") for a in allowed)
    ]
    assert not wrong


def test_the_package_itself_loads_nothing_heavy() -> None:
    assert all(name.split(".")[0] == "api" for name in own(imported(ROOT / "__init__.py")))
