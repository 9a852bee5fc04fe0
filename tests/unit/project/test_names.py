"""One word a thing: the name of a type is defined once in the product, whatever the room."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from tests.support.places import ROOT


def types_of(tree: ast.Module) -> Iterator[str]:
    """Public classes, and aliases of types (capitalised names that are no constants)."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (item.id for item in node.targets if isinstance(item, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_a_type_is_defined_once() -> None:
    places = defaultdict(set)
    for folder in ("flows", "tasks"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in types_of(ast.parse(path.read_text())):
                if name[0].isupper() and not name.isupper():
                    places[name].add(str(path.relative_to(ROOT)))
    assert len(places) > 200
    twice = {name: sorted(found) for name, found in places.items() if len(found) > 1}
    assert twice == {}
