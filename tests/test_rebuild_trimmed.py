"""The names of source files under -trimpath, by cmd/go's rules, from what functions' files tell of directories."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from builds import STRIP, Build, executable, needing

import goforensics
from goforensics.rebuild import changes, relaid, trimmed
from goforensics.rebuild.contents import Declined
from goforensics.sections import pclntab
from goforensics.sections.buildinfo import ModInfo, Module
from goforensics.sections.pclntab import Pclntab

ROOT = "/usr/lib/go"
RUNTIME = f"{ROOT}/src/runtime/proc.go"
MAIN = Module("example.com/m", "(devel)")


def table(functions: dict[str, str], others: tuple[str, ...] = ()) -> Pclntab:
    """A table of functions, each with the file that it begins in, and other files."""
    files = list(dict.fromkeys([RUNTIME, *functions.values(), *others]))
    names = b"".join(name.encode() + b"\0" for name in functions)
    data = b"\xff" + names + b"".join(file.encode() + b"\0" for file in files)
    offsets = np.cumsum([1, *(len(name) + 1 for name in functions)])[:-1]
    place = {file: data.index(file.encode() + b"\0", len(names)) for file in files}
    return cast(
        Pclntab,
        SimpleNamespace(
            data=data,
            files=files,
            header=SimpleNamespace(tables={"funcnametab": 1, "cutab": 1 + len(names)}),
            funcs=SimpleNamespace(name=offsets.astype(np.int64)),
            entry_file=np.array([place[file] for file in functions.values()], np.int64),
        ),
    )


def renamed(functions: dict[str, str], info: ModInfo, *others: str) -> dict[str, str]:
    have = table(functions, others)
    return dict(zip(have.files, trimmed.renamed(have, info), strict=True))


def test_the_standard_library_loses_goroot_and_src() -> None:
    vendored = f"{ROOT}/src/vendor/golang.org/x/net/idna/idna.go"
    names = renamed({"main.main": "/w/m/main.go"}, ModInfo("example.com/m", MAIN), vendored)
    assert names[RUNTIME] == "runtime/proc.go"
    assert names[vendored] == "vendor/golang.org/x/net/idna/idna.go"
    assert names["/w/m/main.go"] == "example.com/m/main.go"


def test_a_command_below_the_main_module_tells_where_the_module_is() -> None:
    functions = {"main.main": "/w/m/cmd/tool/main.go", "main.x": "/line/directive.y"}
    names = renamed(functions, ModInfo("example.com/m/cmd/tool", MAIN), "/w/m/internal/a/a.go")
    assert names["/w/m/cmd/tool/main.go"] == "example.com/m/cmd/tool/main.go"
    assert names["/w/m/internal/a/a.go"] == "example.com/m/internal/a/a.go"
    assert names["/line/directive.y"] == "/line/directive.y"


def test_modules_from_the_cache_get_their_version_and_their_capitals() -> None:
    info = ModInfo("example.com/m", MAIN, (Module("github.com/Burnt/toml", "v1.2.0", "h1:"),))
    file = "/go/pkg/mod/github.com/!burnt/toml@v1.2.0/in/decode.go"
    names = renamed({"main.main": "/w/m/main.go"}, info, file)
    assert names[file] == "github.com/Burnt/toml@v1.2.0/in/decode.go"


def test_a_replaced_module_keeps_the_name_and_version_that_were_asked_for() -> None:
    local = Module("example.com/l", "v0.0.0", replace=Module("./l", "(devel)"))
    fork = Module("example.com/f", "v1.0.0", replace=Module("example.com/fork", "v2.0.0"))
    info = ModInfo("example.com/m", MAIN, (local, fork))
    functions = {"main.main": "/w/m/main.go", "example.com/l/p.F": "/w/m/l/p/p.go"}
    forked = "/go/pkg/mod/example.com/fork@v2.0.0/f.go"
    names = renamed(functions, info, forked)
    assert names["/w/m/l/p/p.go"] == "example.com/l@v0.0.0/p/p.go"
    assert names[forked] == "example.com/f@v1.0.0/f.go"


def test_a_vendored_module_gets_its_version() -> None:
    info = ModInfo("example.com/m", MAIN, (Module("example.com/v", "v1.0.0"),))
    file = "/w/m/vendor/example.com/v/v.go"
    assert renamed({"main.main": "/w/m/main.go"}, info, file)[file] == "example.com/v@v1.0.0/v.go"


def test_files_named_on_the_command_line() -> None:
    info = ModInfo("command-line-arguments", MAIN)
    functions = {"main.main": "/w/m/cmd/main.go", "example.com/m/p.F": "/w/m/p/p.go"}
    names = renamed(functions, info)
    assert names["/w/m/cmd/main.go"] == "command-line-arguments/main.go"
    assert names["/w/m/p/p.go"] == "example.com/m/p/p.go"


def test_gopath_mode_has_import_paths() -> None:
    names = renamed({"main.main": "/g/src/a.b/c/main.go"}, ModInfo("a.b/c"), "/g/src/a.b/d/vendor/e.f/x.go")
    assert names["/g/src/a.b/d/vendor/e.f/x.go"] == "a.b/d/vendor/e.f/x.go"


def test_a_module_that_nothing_places_is_declined() -> None:
    info = ModInfo("example.com/m", MAIN, (Module("example.com/work", "(devel)"),))
    with pytest.raises(Declined, match=r"example\.com/work"):
        renamed({"main.main": "/w/m/main.go"}, info, "/elsewhere/work/x.go")


def test_packages_that_disagree_are_declined() -> None:
    functions = {"main.main": "/line/main.go", "example.com/m/p.F": "/w/m/p/p.go"}
    with pytest.raises(Declined, match="agree"):
        renamed(functions, ModInfo("example.com/m", MAIN))


BUILDS = [
    *(Build("hello", minor) for minor in ("1.16", "1.18", "1.22", "1.25", "1.27")),
    *(Build("hello", "1.27", goarch=arch) for arch in ("386", "arm", "s390x")),
    Build("zoo", "1.16"),
    Build("zoo", "1.27"),
    Build("app", "1.26"),
    *(needing(Build(program, "1.27")) for program in ("vendored", "workspace")),
]


@pytest.mark.builds
@pytest.mark.parametrize("build", BUILDS, ids=Build.label)
def test_the_names_and_the_length_of_a_real_rebuild(build: Build) -> None:
    have = changes.now(goforensics.open(executable(build)))
    flags = (*build.flags, "-trimpath", STRIP)
    rebuilt = goforensics.open(
        executable(Build(build.program, build.go, build.goos, build.goarch, flags, build.cgo, build.env))
    ).read(pclntab.PARSER)
    names = trimmed.renamed(have.table, have.info.mod)
    assert names == rebuilt.files
    assert relaid.size(have.image, have.table, names) == len(rebuilt.data) < len(have.table.data)
