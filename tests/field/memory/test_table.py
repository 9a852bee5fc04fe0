"""Our arithmetic against what vLLM printed, log by log."""

from __future__ import annotations

import json
import re

import pytest

from tests.field.memory.table import DOCS, HERE, Row, config, error, rows, with_table

ROWS = rows()
# Where the bytes of the files are from. Listings: of the checkpoint or one of the same shape, or
# as vLLM printed it; reckoned: what shows the division alone.
LISTED = re.compile(r"(index|listing|size)( .+)?|checkpoint size in the log")
RECKONED = re.compile(r"parameters by config.json|[\d.]+ bits a linear weight|no listing")
REPORT = r"[\w.-]+/[\w.-]+(?:#\d+| pull \d+)"
# of a log: a report, a file of a repository, a page of a site
OF_A_LOG = re.compile(
    rf"{REPORT}(?:, its error)?|[\w.-]+/[\w.-]+ [\w./-]+|[\w.-]+\.[a-z]+, [\w.-]+"
)
# of a config: the file itself, a report with its sizes, the tests or classes that have it
OF_A_CONFIG = re.compile(
    rf"https://\S+(?:[ ;].*)?|{REPORT}(?:, {REPORT})*(?: \(.+\))?|[\w.-]+/[\w.-]+ tests|"
    r"(?:[\w.-]+/[\w.-]+ tests, )?class defaults of transformers [\d.]+(?:, which name this "
    r"checkpoint)?|vllm/[\w./]+\.py .+"
)


def test_the_table_in_the_documentation_is_this_one() -> None:
    assert with_table(DOCS.read_text()) == DOCS.read_text()


def test_there_are_twenty_models_of_every_kind() -> None:
    kinds = ", ".join(row.told["kind"] for row in ROWS)
    assert len({row.told["model"] for row in ROWS}) >= 20
    both = [row for row in ROWS if row.weights and row.cache]
    assert len({row.told["model"] for row in both}) >= 20  # docs/nodes.md says so
    for kind in ("dense", "MoE", "MLA", "hybrid", "sliding", "VLM", "AWQ", "MXFP4", "NVFP4", "FP8"):
        assert kind in kinds


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.told['model']}-{row.told['source']}")
def test_it_is_near_the_log(row: Row) -> None:
    """Weights within 5 %, cache within 10 % is the goal; the caches are within 2 %."""
    assert row.weights or row.cache
    if row.weights:
        assert abs(error(row.weights)) <= 0.05
    if row.cache:
        assert abs(error(row.cache)) <= 0.02


def test_the_documentation_counts_what_the_rows_prove() -> None:
    weighed = [row.told["files_from"] for row in ROWS if row.weights]
    listed = [source for source in weighed if LISTED.fullmatch(source)]
    reckoned = [source for source in weighed if RECKONED.fullmatch(source)]
    assert len(listed) + len(reckoned) == len(weighed)
    caches = sum(row.cache is not None for row in ROWS)
    said = f"{len(ROWS)} logs: {len(listed)} with weights from a listing, {len(reckoned)} "
    assert f"{said}from elsewhere, {caches} with a cache" in " ".join(DOCS.read_text().split())


def test_every_row_and_every_config_names_its_source() -> None:
    told = [row.told["source"] for row in ROWS]
    assert [source for source in told if not OF_A_LOG.fullmatch(source)] == []
    paths = sorted((HERE / "configs").glob("*.json"))
    sources = [json.loads(path.read_text())["source"] for path in paths]
    assert [source for source in sources if not OF_A_CONFIG.fullmatch(source)] == []
    assert config("Qwen3-8B")["model_type"] == "qwen3"
