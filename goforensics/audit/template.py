"""The text of a new goforensics.toml: every key with its default and what it means."""

from __future__ import annotations

from goforensics.policy import Profile
from goforensics.report_policy import PolicyTemplate

SAID: dict[Profile, str] = {
    "release": "a program that leaves the house",
    "container": "a program that is shipped in an image: name the image under targets",
    "debug": "a build for developers: debug data and paths are no fault",
}
TEXT = """\
# What `goforensics audit` holds executables against.  `goforensics policy check` tells what is wrong in here,
# `goforensics policy explain` what counts and why.  What is commented out shows the default, or an example.

# {said}
profile = "{profile}"

# The least severity that says "do not ship": low, medium, high or critical.
fail-on = "medium"

# Where the binary must run.
# targets = ["scratch", "alpine", "debian:12", "glibc:2.31"]

# How much a rule counts, by its id or its family; "off" turns it off.
[severity]
# "build/vcs" = "high"
# "size/*" = "off"

# How it is built.  Flags are as `go version -m` shows them.
[build]
# require = ["-trimpath", "CGO_ENABLED=0"]
# forbid = ["-race"]
# min-go = "1.25"
# vcs = true           # the stamp must be there, and no file changed; not set: as the profile says
# commit = "0123abcd"  # the revision of the stamp, or its beginning
# version = true       # the main module's version must not be (devel); not set: as the profile says
# replace = false      # whether replace directives are fine
# hosts = ["github.com", "*.example.com"]  # the only ones that modules may come from

# Budgets, in bytes of the file.
[size]
# max = "40MiB"
# delta = "5MiB"       # growth against another build (goforensics gate)
# delta-percent = 10.0
# reclaimable = 0.5    # the greatest share of the file that could be reclaimed

# Names that must not leave the house; * stands for any part of a name.
[internal]
# hosts = ["*.corp.example"]
# modules = ["git.corp.example/*"]

[internal.patterns]    # name = regular expression (RE2 syntax)
# ticket = "CORP-[0-9]+"

# Shapes of secrets besides the well-known ones.
[secrets.patterns]     # name = regular expression (RE2 syntax)
# token = "corp_[0-9a-f]{{40}}"

# Findings that are accepted.  Each needs a reason; after its last day it fails again.
# [[allow]]
# rule = "build/vcs"
# match = ""           # a part of the owner, of the title, or of every place's text
# reason = "built from a tarball until the pipeline has git"
# expires = 2030-01-31
"""


def template(profile: Profile) -> PolicyTemplate:
    """A policy file for a profile; as it is, it changes nothing but the profile."""
    return PolicyTemplate(profile=profile, text=TEXT.format(profile=profile, said=SAID[profile]))
