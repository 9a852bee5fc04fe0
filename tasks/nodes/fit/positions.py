"""How long a context a model's config allows.

Source: _get_and_verify_max_len in vllm/config/model.py. Releases differ over YaRN: up to some
release its factor was applied to original_max_position_embeddings, since vllm#56446 (in 0.32)
max_position_embeddings counts as already scaled. The two readings are a range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.nodes.fit.fields import POSITIONS, first, number, section, text_of, whole

# contained in max_position_embeddings in every release
SCALED = ("su", "longrope", "llama3", "default", "mrope", "deepseek_llama_scaling", "proportional")
MOST_SCALED = 1e12  # a factor or a length beyond this is none
GROWN = ("linear", "dynamic", "ntk")  # their tables go on to the scaled length
MROPE_TABLES = 4  # a table of positions in several directions goes on so many times as far
YARN = ("yarn", "deepseek_yarn", "telechat3-yarn")


def ropes(text: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rotary settings: `rope_scaling`, `rope_parameters`, or one of them per layer type."""
    found = first(text, "rope_scaling", "rope_parameters")
    if isinstance(text.get("rope_parameters"), Mapping):
        found = text["rope_parameters"]
        older = text.get("rope_scaling")
        if isinstance(older, Mapping) and older.get("factor") and not found.get("factor"):
            plain = {key: value for key, value in found.items() if key != "rope_type"}
            found = {**plain, **older}
    if not isinstance(found, Mapping):
        return []
    nested = [item for item in found.values() if isinstance(item, Mapping)]
    return nested or [found]


def positions(config: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """(least, most) tokens by release; None where the config does not say."""
    text = text_of(config)
    told = [size for name in POSITIONS if (size := whole(text.get(name)))]
    if not told:
        return None, None
    base = whole(text.get("model_max_length")) or min(told)
    least, most = float(base), float(base)
    if "gemma3" in str(text.get("model_type", "")):
        return base, base
    for rope in ropes(text):
        kind, factor = first(rope, "rope_type", "type") or "default", _figure(rope.get("factor"))
        if not factor or kind in SCALED:
            continue
        start = _figure(rope.get("original_max_position_embeddings")) or float(base)
        if kind in YARN:
            most = max(most, start * factor)
        else:
            most = max(most, float(base) * factor)
            least = max(least, float(base) * factor)
    return int(least), int(most)


def rotary_elements(config: Mapping[str, Any], size: int) -> int:
    """Elements of the tables of cosines and sines that every device keeps beside the weights, one
    of each rotary setting; 0 where the config has none. size: elements of an attention head.

    Source: vllm/model_executor/layers/rotary_embedding of vLLM 0.32. Gemma 3's, linearly scaled by
    8, were 0.56 of the 8.61 GiB of its 4B.
    """
    text = text_of(config)
    found, told = ropes(text), number(text, *POSITIONS)
    if not found and any(name.startswith(("rope", "rotary")) for name in text):
        found = [{}]
    kind = str(text.get("model_type", ""))
    local = bool(found) and (kind.startswith("gemma3") or "rope_local_base_freq" in text)
    if local and "full_attention" not in section(text, "rope_parameters"):
        found = [*found, {}]  # of the layers with a window, as it comes
    size = number(text, "qk_rope_head_dim") or size
    named = section(text, "rope_parameters")
    total = 0.0
    for rope in found:
        wide = rope is named.get("full_attention") and number(text, "global_head_dim")
        share = _figure(rope.get("partial_rotary_factor")) or 1.0
        whole_head = first(rope, "rope_type", "type") == "proportional"
        total += _rows(rope, told) * (wide or size) * (1.0 if whole_head else min(1.0, share))
    return int(min(total, MOST_SCALED))


def _rows(rope: Mapping[str, Any], told: int) -> float:
    """Positions of one table. told: max_position_embeddings."""
    kind, factor = first(rope, "rope_type", "type") or "default", _figure(rope.get("factor")) or 1.0
    start = _figure(rope.get("original_max_position_embeddings"))
    rows = float(told)
    if kind in GROWN:
        rows *= factor
    elif kind in YARN and start:
        rows = start * factor
    elif kind in ("su", "longrope"):
        rows += start
    return rows * (MROPE_TABLES if "mrope_section" in rope or kind == "mrope" else 1)


def _figure(value: Any) -> float:
    """A factor or a length; 0 for what is none."""
    told = isinstance(value, (int, float)) and 0 < value < MOST_SCALED
    return float(value) if told else 0.0


def default_length(config: Mapping[str, Any]) -> int | None:
    """What vLLM serves when no length is asked for; None where the config does not say."""
    text = text_of(config)
    if any(first(rope, "rope_type", "type") == "longrope" for rope in ropes(text)):
        start = whole(text.get("original_max_position_embeddings"))
        if start:
            return start
    return positions(config)[0]
