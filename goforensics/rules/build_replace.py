"""Modules that something else was put in the place of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from goforensics.clues import recorded
from goforensics.policy import Policy
from goforensics.rules.protocol import Draft, NotApplicableError, Rule, UnknownError
from goforensics.rules.subject import Subject
from goforensics.sections.buildinfo import Module

DIRECTORY = re.compile(r"\.{1,2}(?:[/\\]|$)|/|[A-Za-z]:[/\\]|\\\\")  # modfile.IsDirectoryPath


def check(subject: Subject, policy: Policy) -> Iterator[Draft]:
    """A finding per replaced module."""
    if policy.build.replace:
        raise NotApplicableError("the policy allows replace directives (build.replace = true)")
    mod = recorded.info(subject).mod
    for module in (*([mod.main] if mod.main else ()), *mod.modules):
        if module.replace is not None:
            yield _draft(module, module.replace)
    if mod.problems:
        raise UnknownError(f"the build information cannot be read in full: {mod.problems[0]}")
    if not mod.main and not mod.modules and mod.path != recorded.FILES:
        raise UnknownError("no modules are recorded")


def _draft(module: Module, new: Module) -> Draft:
    local = DIRECTORY.match(new.path) is not None
    hit = recorded.module(new, f"{module.path} {module.version} => {new.path} {new.version}".strip())
    if local:
        title = f"{module.path} {module.version} is replaced by the directory {new.path}"
        return Draft(title, [hit], f"{module.path} => directory", module.path)
    title = f"{module.path} {module.version} is replaced by {new.path} {new.version}".rstrip()
    return Draft(title, [hit], f"{module.path} => {new.path}", module.path, "low")


RULE = Rule(
    id="build/replace",
    title="A module is replaced",
    severity="medium",
    why="What is in the file is not the module that its name and version say. A directory has no version at all, its "
    "path stays in the file even under -trimpath, and scanners match the wrong code or none. Another module in its "
    "place is a finding of low severity.",
    fix="release the change as a version of its own and require that; or allow it: build.replace = true",
    limits="Modules of a workspace (go.work) are no replacements and are not reported.",
    check=check,
)
