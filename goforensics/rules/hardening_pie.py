"""hardening/pie: an executable that is always loaded at the same address."""

from __future__ import annotations

from goforensics.analysis import hardening
from goforensics.clues import flags, headers
from goforensics.policy import Policy
from goforensics.report_audit import Severity
from goforensics.rules.protocol import Draft, NotApplicableError, Rule
from goforensics.rules.subject import Subject

# src/cmd/link/internal/ld/pe.go sets HIGH_ENTROPY_VA; what a system's linker does, it is asked by this flag.
WIDE = "build with Go 1.15 or later, or with a system linker that takes --high-entropy-va"


def check(subject: Subject, policy: Policy) -> list[Draft]:
    """A draft if the loader cannot move it, another if a PE file may move in 32 bits only."""
    image, goos = subject.image, subject.file.goos or ""
    fact, wide = hardening.position_independent(image), hardening.high_entropy(image)
    severity: Severity | None = "medium" if "-buildmode=pie" in flags.single(policy.build.require) else None
    if fact.holds:
        if wide is None or wide.holds:
            return []
        return [Draft("moves within 32 bits only", [headers.hit(wide)], "high entropy", severity=severity, fix=WIDE)]
    if not hardening.supports_pie(goos, image.goarch) and severity is None:
        raise NotApplicableError(f"Go builds no position-independent executables for {goos}/{image.goarch}")
    return [Draft("is always loaded at the same address", [headers.hit(fact)], "not pie", severity=severity)]


RULE = Rule(
    id="hardening/pie",
    title="Not position-independent",
    severity="low",
    why="Address space layout randomisation moves only what can be moved: an attack on C code or through unsafe then "
    "knows where the code is.  Go's own code is memory-safe, so the risk is small without C.",
    fix="-buildmode=pie",
    mends=("-buildmode=pie",),
    limits="On Linux Go's linker makes the binary ask for a loader then, which scratch has not got.",
    check=check,
)
