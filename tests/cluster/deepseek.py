"""The DeepSeek example and its model as a hub lists it: true shape and sizes, no weights."""

from __future__ import annotations

import json
from pathlib import Path

from deployments.local import hub

SPEC = (
    Path(__file__).parents[2]
    / "deployments"
    / "models"
    / "deepseek-r1-distill-qwen-32b-k100ai.yaml"
)
MODEL = "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"
# Qwen2.5-32B's published shape: its parameters are 65,527,752,704 bytes of bf16
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 5120,
    "intermediate_size": 27648,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "num_hidden_layers": 64,
    "vocab_size": 152064,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
SHARDS, WEIGHTS = 8, 65_527_752_704


def publish(folder: Path) -> str:
    """The model as the hub lists it: true sizes; its weights are never fetched here."""
    names = [f"model-{i + 1:05d}-of-{SHARDS:05d}.safetensors" for i in range(SHARDS)]
    index = {"metadata": {"total_size": WEIGHTS}, "weight_map": {}}
    files: dict[str, Path | bytes] = {name: name.encode() for name in names}
    files["config.json"] = json.dumps(CONFIG).encode()
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    commit = hub.publish(folder, MODEL, "master", files)
    listing = next(folder.rglob(f"{commit}.json"))
    body = json.loads(listing.read_text())
    for row in body["files"]:
        if row["path"] in names:
            row["size"] = WEIGHTS // SHARDS
    listing.write_text(json.dumps(body))
    return commit
