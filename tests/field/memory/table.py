"""What vLLM printed beside what we compute.

`python -m tests.field.memory.table` renews the table in docs/nodes.md.

logged.json has a row a public log. vllm: its release or date; release: the one to reckon by. files:
bytes of the weights, and where that figure is from. weights: GiB on one device, by "Model loading
took". kv_token: bytes a token (memory for the cache / tokens in it); kv_sequence: GiB of one
sequence of `length` (memory / "Maximum concurrency", or the text of the refusal). The readings say
which end of ours is meant where there are two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.nodes.memory import GIB, ModelShape, ShapeVerdict, estimate
from tests.support.nodedata import make_spec
from tests.support.places import ROOT

HERE = Path(__file__).parent
DOCS = ROOT / "docs" / "nodes.md"
BEGIN, END = "<!-- models: generated -->", "<!-- end of models -->"


def config(name: str) -> dict[str, Any]:
    """A model's config.json, its size fields alone."""
    found: dict[str, Any] = json.loads((HERE / "configs" / f"{name}.json").read_text())
    return found


@dataclass(frozen=True)
class Row:
    """One log. ours and logged in GiB, None where the log has no such line."""

    told: dict[str, Any]
    verdict: ShapeVerdict

    @property
    def weights(self) -> tuple[float, float] | None:
        """(logged, ours) weights of one device, GiB."""
        if self.told["weights"] is None:
            return None
        most = self.told["weights_reading"] == "most"
        ours = self.verdict.weights_most if most else self.verdict.weights_per_device
        return self.told["weights"], ours / GIB

    @property
    def cache(self) -> tuple[float, float] | None:
        """(logged, ours) cache of one sequence, GiB."""
        told, length = self.told, self.told["length"]
        logged = told["kv_sequence"]
        if logged is None and told["kv_token"] is None:
            return None
        ours = self.verdict.sequence_bytes[told["kv_reading"] == "most"]
        return logged or told["kv_token"] * length / GIB, ours / GIB


def rows() -> list[Row]:
    """Every log with what we make of it."""
    out = []
    for told in json.loads((HERE / "logged.json").read_text()):
        spec = make_spec(
            {
                "nodes": {"accelerator": "nvidia-gpu"},
                "serving": {
                    "image": f"vllm/vllm-openai:v{told['release']}",
                    "tensor_parallel_size": told["tp"],
                    "max_model_len": told["length"],
                    "extra_args": told["args"],
                },
            }
        )
        shape = ModelShape.from_config(config(told["config"]), told["files"] or 0)
        out.append(Row(told, estimate(spec, shape, None)))
    return out


def error(pair: tuple[float, float]) -> float:
    """Ours against the log, as a share."""
    return pair[1] / pair[0] - 1


def _cells(pair: tuple[float, float] | None, digits: int) -> str:
    if pair is None:
        return "| - | - | - "
    return f"| {pair[0]:.{digits}f} | {pair[1]:.{digits}f} | {100 * error(pair):+.1f} % "


def table() -> str:
    """The table as Markdown."""
    lines = [
        "| model | kind | vLLM, TP, tokens | weights logged | ours | error | one sequence logged | "
        "ours | error | source |",
        "| " + "--- | " * 10,
    ]
    lines[1] = lines[1].rstrip()
    for row in rows():
        told = row.told
        lines.append(
            f"| {told['model']} | {told['kind']} | {told['vllm']}, {told['tp']}, "
            f"{told['length']:,} {_cells(row.weights, 2)}{_cells(row.cache, 3)}| {told['source']} |"
        )
    return "\n".join(lines)


def with_table(text: str) -> str:
    """docs/nodes.md with the table between its two marks renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCS.write_text(with_table(DOCS.read_text()))
