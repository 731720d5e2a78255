"""`goforensics policy`: writes, checks and explains the policy that `audit` holds executables against."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from goforensics.commands import Outcome, Result
from goforensics.errors import UsageError
from goforensics.options import output_option
from goforensics.renderers import View

EXAMPLES = """
\b
Examples:
  goforensics policy init --profile container
  goforensics policy check
  goforensics policy explain
  goforensics policy explain paths/home
"""
NAME = "goforensics.toml"
MISTAKES, PARTIAL = 2, 3
PROFILES = ["release", "container", "debug"]
policy_option = click.option(
    "--policy", metavar="FILE", help="The policy.  [default: goforensics.toml here or in a folder above]"
)
format_option = click.option(
    "--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True
)


@click.group(
    name="policy", epilog=EXAMPLES, short_help="Write, check or explain a policy.", invoke_without_command=True
)
@click.pass_context
def command(context: click.Context) -> None:
    """Write, check or explain the policy that audits go by."""
    if context.invoked_subcommand is None:
        raise UsageError("name what to do with the policy: init, check or explain")


@command.command()
@click.option("--profile", type=click.Choice(PROFILES), default="release", show_default=True)
@click.option("-o", "output", metavar="FILE", default=NAME, show_default=True, help="Where to; - prints it.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(profile: str, output: str, force: bool) -> Outcome:
    """Write a policy with every key, its default and what it means.

    Exit code: 0 written; 2 it is there already, or cannot be written.
    """
    if output != "-" and not force and os.path.lexists(output):
        raise UsageError(f"{output} is there already; --force replaces it")
    return Outcome(results=_template(profile), format="toml", view=View(), output=output)


def _template(profile: str) -> Iterator[Result]:
    from goforensics.audit.template import template

    yield Result(template(profile))  # type: ignore[arg-type]


@command.command()
@click.argument("file", metavar="[FILE]", required=False)
@format_option
@output_option
def check(file: str | None, format_: str, output: str | None) -> Outcome:
    """Tell every mistake in a policy, with its line.

    Exit code: 0 none; 2 mistakes, or no policy to be read.
    """
    return Outcome(results=_checked(file), format=format_, view=View(), inputs=[file or NAME], output=output)


def _checked(file: str | None) -> Iterator[Result]:
    from goforensics.policyfile import load
    from goforensics.report_policy import PolicyCheck

    read = load(file)
    if read.path is None:
        raise UsageError(f"there is no {NAME} here or in a folder above; goforensics policy init writes one")
    yield Result(PolicyCheck(path=read.path, problems=list(read.problems)), MISTAKES if read.problems else 0)


@command.command()
@click.argument("rule", metavar="[RULE]", required=False)
@policy_option
@format_option
@output_option
def explain(rule: str | None, policy: str | None, format_: str, output: str | None) -> Outcome:
    """Tell what a rule finds, why it matters and what to do; without RULE, what the policy comes to and why.

    Exit code: 0 fine; 2 no such rule; 3 there are mistakes in the policy (policy check lists them).
    """
    results = _explained(rule, policy)
    return Outcome(results=results, format=format_, view=View(), inputs=[policy or NAME], output=output)


def _explained(rule: str | None, policy: str | None) -> Iterator[Result]:
    from goforensics.audit import explain
    from goforensics.policyfile import load

    read = load(policy)
    document = explain.rule(rule, read) if rule else explain.policy(read)
    warning = f"{read.path}: there are mistakes; goforensics policy check lists them" if read.problems else ""
    yield Result(document, PARTIAL if read.problems else 0, warning)
