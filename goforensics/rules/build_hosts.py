"""Where modules may come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from goforensics.clues import recorded
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, Hit, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections.buildinfo import BuildInfo

WILD = str.maketrans({"[": "[[]", "?": "[?]"})  # only * is special in a policy


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding per module from elsewhere; where no modules are recorded, packages say where they come from."""
    if not policy.build.hosts:
        raise NotApplicableError("the policy names no hosts (build.hosts)")
    info = recorded.info(subject)
    for path, hit in _sources(info):
        host = path.partition("/")[0]
        if "." in host and not allowed(path, policy.build.hosts):
            yield Draft(f"{path} comes from {host}, which the policy does not list", [hit], path, path)
    if info.mod.problems:
        raise UnknownError(f"the build information cannot be read in full: {info.mod.problems[0]}")
    if info.mod.modules or (info.mod.main and info.setting("-compiler")):
        return
    yield from _packages(subject, policy.build.hosts)


def _sources(info: BuildInfo) -> Iterator[tuple[str, Hit]]:
    """Each dependency's path, or the path of what took its place."""
    for module in info.mod.modules:
        used = module.replace or module
        yield used.path, recorded.module(used, f"{used.path} {used.version}".strip())


def allowed(path: str, hosts: Iterable[str]) -> bool:
    """A pattern with a slash is held against the module's path, another one against its host."""
    host = path.partition("/")[0].lower()
    return any(
        fnmatchcase(*((path, p.translate(WILD)) if "/" in p else (host, p.lower().translate(WILD)))) for p in hosts
    )


def _packages(subject: Subject, hosts: Iterable[str]) -> Iterator[Draft]:
    elsewhere = sorted(p for p in subject.packages if "." in p.partition("/")[0] and not p.startswith("main."))
    strange = [p for p in elsewhere if p.partition("/")[2] and not allowed(p, hosts)]
    for host in sorted({p.partition("/")[0] for p in strange}):
        mine = [hit for p in strange if p.startswith(f"{host}/") and (hit := recorded.linked(subject, p))]
        yield Draft(f"packages of {host}, which the policy does not list ({len(mine)} of them)", mine, host)
    raise UnknownError("no modules are recorded; only the packages that have code could be looked at")


RULE = Rule(
    id="build/hosts",
    title="A module comes from a host that is not listed",
    severity="high",
    why="The policy lists the hosts that code may come from; a module from elsewhere came in unseen.",
    fix="drop the module, mirror it to a listed host, or list its host in build.hosts",
    limits="The path says where the module is published. A proxy, or a mirror, does not show. Modules that are "
    "replaced by a directory are the business of build/replace.",
    check=check,
)
