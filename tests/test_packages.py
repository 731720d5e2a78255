"""Package paths cut out of symbols' names."""

from __future__ import annotations

import pytest

from goforensics.analysis.packages import PackageNames, declaring, path_of

KNOWN = {"main", "os", "github.com/jmoiron/sqlx", "example.com/a", "go"}


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("github.com/jmoiron/sqlx.Conn.database/sql", "github.com/jmoiron/sqlx"),
        ("main.T.example.com/dep/inner", "main"),
        ("os.rawConn.internal/poll", "os"),
        ("github.com/other/sqlx.Conn.database/sql", "github.com/other/sqlx.Conn.database/sql"),  # nobody knows it
        ("example.com/a.b/c", "example.com/a.b/c"),  # a directory a.b: a type has a dot behind it
        ("go.uber.org/zap", "go.uber.org/zap"),
        ("type:.eq.internal/cpu", "type:.eq.internal/cpu"),
        ("main", "main"),
    ],
)
def test_methods_that_come_from_another_package(path: str, package: str) -> None:
    assert declaring(path, KNOWN) == package


def test_they_get_no_number_of_their_own() -> None:
    names = PackageNames(["", "github.com/jmoiron/sqlx"])
    assert names["github.com/jmoiron/sqlx.Tx.database/sql"] == 1
    assert names.all == ["", "github.com/jmoiron/sqlx"]


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("gopkg.in/yaml%2ev3", "gopkg.in/yaml.v3"),
        ("gopkg.in/yaml%252ev3", "gopkg.in/yaml.v3"),  # closures of Go 1.27
        ("net/http", "net/http"),
        ("100%", "100%"),
        ("%zz%2", "%zz%2"),
    ],
)
def test_escaped_paths(prefix: str, path: str) -> None:
    assert path_of(prefix) == path
