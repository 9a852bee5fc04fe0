"""Whether a model fits its devices; the rooms of the arithmetic are in tasks/nodes/fit.

fields, layers, attention, positions: how a config.json is read. native: Mistral's params.json.
files: which files are weights. packing, load: what they take on a device. kv: what a sequence
takes. engine: what the spec asks and a release decides. parallel: what divides. room: what a device
allows. judge: the verdict.
"""

from __future__ import annotations

from tasks.nodes.fit.engine import GIB
from tasks.nodes.fit.files import INDICES, Weights, weigh
from tasks.nodes.fit.judge import (
    MEMORY_CODES,
    ShapeVerdict,
    estimate,
    length_reasons,
    parallel_reasons,
    shape_unknown,
    weights_unknown,
)
from tasks.nodes.fit.native import NAME as NATIVE
from tasks.nodes.fit.native import as_config
from tasks.nodes.fit.shape import ModelShape

__all__ = [
    "GIB",
    "INDICES",
    "MEMORY_CODES",
    "NATIVE",
    "ModelShape",
    "ShapeVerdict",
    "Weights",
    "as_config",
    "estimate",
    "length_reasons",
    "parallel_reasons",
    "shape_unknown",
    "weigh",
    "weights_unknown",
]
