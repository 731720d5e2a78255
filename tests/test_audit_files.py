"""Which files an audit takes, and work spread over processes, one of which may be killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from goforensics.audit.walk import walk
from goforensics.audit.workers import DiedError, Spread

ELF = b"\x7fELF rest"


def test_directories_are_walked_in_order(tmp_path: Path) -> None:
    for name, content in (
        ("b/z", ELF),
        ("b/a", b"MZ.."),
        ("a", ELF),
        ("c.txt", b"text"),
        ("empty", b""),
        ("d/e/f", ELF),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = walk([str(tmp_path), "named", "-"])
    names = [os.path.relpath(each.path, tmp_path) for each in found.candidates[:-2]]
    assert names == ["a", "b/a", "b/z", "d/e/f"]
    assert [(each.path, each.named) for each in found.candidates[-2:]] == [("named", True), ("-", True)]
    assert not found.candidates[0].named
    assert (found.passed_over, found.failed, found.directories) == (2, [], 1)


def test_links_and_what_is_no_file_are_passed_over(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "app").write_bytes(ELF)
    (inside / "loop").symlink_to(inside)
    (inside / "out").symlink_to(outside)
    (inside / "twin").symlink_to(inside / "app")
    (inside / "dangling").symlink_to("nowhere")
    os.mkfifo(inside / "fifo")
    found = walk([str(inside)])
    assert [each.path for each in found.candidates] == [str(inside / "app")]
    assert found.passed_over == 5
    (tmp_path / "entry").symlink_to(inside)
    assert len(walk([str(tmp_path / "entry")]).candidates) == 1


def test_a_deep_tree_is_walked(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "app").write_bytes(ELF)
    assert len(walk([str(tmp_path)]).candidates) == 1


def test_what_cannot_be_opened_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app").write_bytes(ELF)
    (tmp_path / "folder").mkdir()

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: denied() if str(path).endswith("folder") else real(path))
    found = walk([str(tmp_path)])
    assert [Path(path).name for path, _ in found.failed] == ["app", "folder"]
    assert all("Permission denied" in str(error) for _, error in found.failed)


def _work(item: int) -> int:
    """Kills its own process for 13, takes longer for the first than for the others."""
    if item == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3 if item == 0 else 0)
    return item * item


def _unsendable(item: int) -> object:
    return (lambda: item) if item == 1 else item


def _spread(items: list[int], jobs: int) -> tuple[list[int | DiedError], list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return list(Spread(_work, items, jobs, lambda done, total: told.append((done, total)))), told


def test_answers_come_in_order() -> None:
    answers, told = _spread(list(range(12)), 2)
    assert answers == [i * i for i in range(12)]
    assert told == [(i, 12) for i in range(1, 13)]


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_killed_process_costs_its_own_item_only(jobs: int) -> None:
    items = [0, 1, 13, 2, 3, 13, 4]
    answers, told = _spread(items, jobs)
    for item, answer in zip(items, answers, strict=True):
        assert isinstance(answer, DiedError) if item == 13 else answer == item * item
    assert told[-1] == (7, 7)


def test_an_answer_that_cannot_be_sent_costs_its_own() -> None:
    answers = list(Spread(_unsendable, [0, 1, 2], 2, lambda done, total: None))
    assert answers[0] == 0
    assert isinstance(answers[1], DiedError)
    assert answers[2] == 2


def _process(item: int) -> int:
    time.sleep(0.2)
    return os.getpid()


def test_as_many_processes_as_asked_for() -> None:
    processes = set(Spread(_process, list(range(12)), 3, lambda done, total: None))
    assert len(processes) == 3
    assert os.getpid() not in processes


def test_giving_up_ends_the_processes() -> None:
    begun = time.monotonic()
    answers = iter(Spread(time.sleep, [0, 600, 600], 2, lambda done, total: None))
    assert next(answers) is None
    answers.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 60
