"""What the accelerator table says has a source with a month: its own, or when it was read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from tasks.accelerators.profiles import PROFILES, Profile
from tasks.accelerators.tiers import RANGES, TIERS

MONTH = re.compile(r"(?<!\d)20\d\d-(0[1-9]|1[0-2])(?!\d)")
# fields whose rows have no source of their own
TABLED = (
    *("resources", "labels", "components", "models", "aliases", "boards", "partitions", "slicing"),
    *("device_class", "devices", "runtime_class", "exporter", "idle_mib", "cpu_flags"),
    *("toolkit", "toolkit_of_image", "toolkit_of_engine"),
)


def told(row: Profile) -> set[str]:
    """The tabled fields in which a row says something; how a name is cut belongs to its aliases."""
    plain = Profile("plain")
    given = {name for name in TABLED if getattr(row, name) != getattr(plain, name)}
    return given | ({"aliases"} if row.model_noise else set())


def stated(row: Profile) -> Iterator[tuple[str, str]]:
    """(what, source) of every row of the profile that has its own."""
    rows: list[tuple[str, Any]] = [
        *((f"minimum {row.toolkit_name} {m.toolkit}", m) for m in row.minimums),
        *((f"generation {g.name}", g) for g in row.generations),
        *((f"sharing {s.name}", s) for s in row.sharings),
        *((f"label {n.key}", n) for n in row.labels.no_cards),
        *([("compatibility libraries", row.compat)] if row.compat else []),
    ]
    yield from ((what, item.source) for what, item in rows)
    if row.compat:
        yield "branches of compatibility libraries", row.compat.branches_source


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_datum_of_a_profile_has_a_source_with_a_month(name: str) -> None:
    row = PROFILES[name]
    assert set(row.sources) == told(row)
    sources = [*row.sources.items(), *stated(row)]
    assert [what for what, source in sources if not MONTH.search(source)] == []


def test_every_tabled_field_is_one() -> None:
    assert set(TABLED) <= {item.name for item in fields(Profile)}


def test_hygons_tables_have_sources_with_a_month() -> None:
    assert [row for row in (*TIERS, *RANGES) if not MONTH.search(row.source)] == []


@pytest.mark.parametrize(
    ("generation", "says"),
    [
        ("Blackwell Ultra", "570 is Blackwell's, none names a least one for it"),
        ("Hopper", "515 is its neighbour, which none names"),
        ("Ada", "515 is its neighbour, which none names"),
    ],
)
def test_a_row_that_rests_on_its_neighbour_says_so(generation: str, says: str) -> None:
    (row,) = [row for row in PROFILES["nvidia-gpu"].generations if row.name == generation]
    assert says in row.source
