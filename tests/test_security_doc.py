"""`docs/security.md` names a test for all that it promises; each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=map("::".join, NAMED))
def test_each_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    found |= {
        t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    }
    assert not name or name in found


def test_all_ten_are_walked_through_each_with_a_test() -> None:
    parts = re.split(r"^### API", TEXT, flags=re.M)[1:]
    assert [int(part.split()[0]) for part in parts] == list(range(1, 11))
    assert all(re.search(r"^- `tests/", part, re.M) for part in parts)
