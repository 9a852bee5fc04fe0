"""Layers, heads and experts of configs that the rules had not seen: as their models have them.

unseen.json has the size fields of each model's config.json as public tests of other projects quote
them ("owner/name" is the hub's), or the defaults of a configuration class of transformers 5.23
("transformers name"), and what is right by hand. kinds: layers by kind. token: KV bytes of a
further token, in 16 bits. experts: a layer, layers, width. positions: the longest context. state:
bytes of one layer's, 0: not looked at.

Of the 22, 18 were right at first, none was without an opinion; wrong were the experts' layers of
ERNIE and EXAONE, the heads of Zamba2 and the windows of GPT-Neo.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tasks.nodes.memory import ModelShape
from tests.field.memory.table import HERE

MODELS: dict[str, dict[str, Any]] = json.loads((HERE / "unseen.json").read_text())


@pytest.mark.parametrize("name", MODELS)
def test_a_config_that_the_rules_had_not_seen(name: str) -> None:
    expected = MODELS[name]["expected"]
    shape = ModelShape.from_config(MODELS[name]["config"], 1)
    experts, states = shape.experts, [layer.state for layer in shape.cached if layer.state]
    assert Counter(layer.kind for layer in shape.cached) == expected["kinds"]
    assert not shape.unknown and shape.kv_bytes_per_token(1) == expected["token"]
    found = [experts.count, experts.layers, experts.width] if experts else None
    assert (found, shape.max_positions) == (expected["experts"], expected["positions"])
    assert not expected["state"] or states[0].page(1, 2, 0, 0) == expected["state"]
