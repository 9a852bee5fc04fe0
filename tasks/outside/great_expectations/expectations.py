"""Our own expectations, and the suites made of them. Importing it costs seconds.

Tables (see gate.py): `targets` has one row per target and load point, `requests` one per measured
request of a round that can be believed, `rounds` one per round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import render_suite_parameter_string
from great_expectations.expectations.row_conditions import Column
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer

from tasks.spec.measure import Target
from tasks.verdict.targets import TargetVerdict

DAY_S = 86_400
ANSWERED = Column("outcome") == "answered"


class _Said:
    """What Data Docs say of an expectation is its note, a whole sentence."""

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    @render_suite_parameter_string  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls, configuration: Any = None, **_: Any
    ) -> list[RenderedStringTemplateContent]:
        # `$` begins a parameter in a template
        said = str(configuration.notes).replace("$", "$$")
        return [
            RenderedStringTemplateContent(
                content_block_type="string_template", string_template={"template": said}
            )
        ]


class ExpectUpperBoundWithinLimit(_Said, gxe.ExpectColumnPairValuesAToBeGreaterThanB):  # type: ignore[misc]
    """The upper confidence bound of a time is at most its limit; a missing bound is outside."""

    column_A: str = "limit"
    column_B: str = "high"
    or_equal: bool | None = True
    ignore_row_if: Literal["neither"] = "neither"


class ExpectLowerBoundWithinLimit(_Said, gxe.ExpectColumnPairValuesAToBeGreaterThanB):  # type: ignore[misc]
    """The lower confidence bound of a rate is at least its limit; a missing bound is outside."""

    column_A: str = "low"
    column_B: str = "limit"
    or_equal: bool | None = True
    ignore_row_if: Literal["neither"] = "neither"


class ExpectTargetMet(_Said, gxe.ExpectColumnValuesToBeInSet):  # type: ignore[misc]
    """The judge let the target pass."""

    column: str = "verdict"
    value_set: list[str] = ["pass"]  # noqa: RUF012 - a pydantic field


class ExpectEveryRequestAnswered(_Said, gxe.ExpectColumnValuesToBeInSet):  # type: ignore[misc]
    """No request failed: what holds where the spec allows no failure."""

    column: str = "outcome"
    value_set: list[str] = ["answered"]  # noqa: RUF012 - a pydantic field


def of_targets(verdicts: Mapping[str, TargetVerdict], targets: Sequence[Target]) -> list[Any]:
    """The bound and the verdict of every binding target, and that none of the spec's is absent.

    verdicts: by the name in the table's column `target`. Advisory targets bind nothing.
    """
    out = [
        gxe.ExpectTableRowCountToEqual(value=len(verdicts), notes="one row per target"),
        gxe.ExpectColumnDistinctValuesToContainSet(
            column="metric",
            value_set=sorted({target.metric for target in targets}),
            notes="every target of the spec was judged",
        ),
        gxe.ExpectColumnDistinctValuesToContainSet(
            column="binding", value_set=["yes"], notes="a verdict needs a binding target"
        ),
    ]
    for name, item in verdicts.items():
        if item.advisory:
            continue
        row = Column("target") == name
        if not item.implied:
            side, which = (
                (ExpectUpperBoundWithinLimit, "upper")
                if item.direction == "at_most"
                else (ExpectLowerBoundWithinLimit, "lower")
            )
            words = f"{name}: the {which} bound lies within the limit"
            out.append(side(row_condition=row, notes=words))
        words = f"{name}: the judge lets it pass (it says {item.verdict}: {item.reason})"
        out.append(ExpectTargetMet(row_condition=row, notes=words))
    return out


def of_requests(verdicts: Mapping[str, TargetVerdict]) -> list[Any]:
    """What rows must look like to be data, and the implied rule that no request fails."""
    out = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, notes="no data is never a pass"),
        gxe.ExpectColumnValuesToBeInSet(
            column="sound", value_set=["yes"], row_condition=ANSWERED, notes="figures can be true"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="tokens", min_value=1, row_condition=ANSWERED, notes="an answer has tokens"
        ),
    ]
    for column in ("ttft_s", "latency_s"):
        out += [
            gxe.ExpectColumnValuesToNotBeNull(
                column=column, row_condition=ANSWERED, notes="an answered request has its times"
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column=column,
                min_value=0,
                strict_min=True,
                max_value=DAY_S,
                row_condition=ANSWERED,
                notes="seconds, finite; the clock goes forward",
            ),
        ]
    for load in sorted({item.load for item in verdicts.values() if item.implied}):
        mine = (Column("load") == load) & (Column("release") == "candidate")
        words = f"every request at {load} is answered: no success_rate target allows one to fail"
        out.append(ExpectEveryRequestAnswered(row_condition=mine, notes=words))
    return out


def of_rounds() -> list[Any]:
    """Enough rounds, most of them believable."""
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=2, notes="one round has no spread"),
        gxe.ExpectColumnValuesToBeBetween(column="requests", min_value=1),
        gxe.ExpectColumnMeanToBeBetween(
            column="believable", min_value=0.5, notes="at least half of the rounds can be believed"
        ),
    ]
