"""Writes of the streams that fail before or after their commit, as after a kill."""

from collections.abc import Callable
from typing import Any

import pytest

from spark_apps.lake.writer import TableWriter
from spark_apps.tables import Table


def fail_write(
    patch: pytest.MonkeyPatch,
    method: str,
    table: Table,
    when: str,
    must_fail: Callable[..., bool] = lambda *_: True,
) -> None:
    """Let writes of `table` fail with a RuntimeError such as "failed before the commit of gold/sentiment".

    Args:
        patch: undoes the failures when it ends.
        method: method of `TableWriter`: append, merge or replace.
        table: table to write.
        when: "before" or "after" the commit.
        must_fail: called with the arguments of a write; returns whether the write fails. By default, each write fails.
    """
    write = getattr(TableWriter, method)

    def failing(self: TableWriter, *arguments: Any, **options: Any) -> None:
        fails = self.table.name == table.name and must_fail(*arguments)
        if not fails or when == "after":
            write(self, *arguments, **options)
        if fails:
            raise RuntimeError(f"failed {when} the commit of {table.name}")

    patch.setattr(TableWriter, method, failing)
