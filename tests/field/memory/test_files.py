"""Which files of public repositories are the weights; sizes as their listings give them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from tasks.nodes.memory import GIB, ModelShape, Weights, as_config, estimate, weigh
from tasks.outside.modelscope.hub import Hub
from tasks.run.findings import fit_reasons
from tasks.steps.resolve_model import shape_of
from tasks.weights.manifest import FileEntry, Manifest
from tests.field.memory.table import config, rows
from tests.support.nodedata import make_spec
from tests.support.surveys import survey


def named(*paths: str, index: str = "model.safetensors.index.json") -> dict[str, Any]:
    return {index: {"weight_map": {f"w{n}": path for n, path in enumerate(paths)}}}


def shards(sizes: list[int], stem: str = "model", end: str = ".safetensors") -> dict[str, int]:
    count = len(sizes)
    return {f"{stem}-{n:05d}-of-{count:05d}{end}": size for n, size in enumerate(sizes, 1)}


MISTRAL = shards([4949453792, 4999819336, 4546807800])
LLAMA_3B = shards([4965799096, 1459729952])
FALCON = shards([9504770141, *[9513159151] * 7, 7575220277], "pytorch_model", ".bin")


@pytest.mark.parametrize(
    ("files", "index", "expected"),
    [
        # rhlsinghal1ss/Mistral-7B: consolidated beside shards
        (
            {**MISTRAL, "consolidated.safetensors": 14496078512},
            named(*MISTRAL),
            sum(MISTRAL.values()),
        ),
        ({**MISTRAL, "consolidated.safetensors": 14496078512}, {}, sum(MISTRAL.values())),
        # Gusiion/meta-llama-Llama-3.2-3B-Instruct: original/ beside the root
        (
            {**LLAMA_3B, "original/consolidated.00.pth": 6425585114},
            named(*LLAMA_3B),
            sum(LLAMA_3B.values()),
        ),
        # Ministral-3 and Mistral-Large-3: consolidated alone
        ({"consolidated.safetensors": 7000}, {}, 7000),
        # Decentralised-AI/falcon-40b: .bin with an index
        (FALCON, named(*FALCON, index="pytorch_model.bin.index.json"), sum(FALCON.values())),
        # saluberis/Wizard-Vicuna-30B-Uncensored: what training left
        (
            {**FALCON, "training_args.bin": 4731, "optimizer.pt": 10**10},
            {},
            sum(FALCON.values()),
        ),
        # both formats: safetensors are loaded
        ({**MISTRAL, **FALCON}, {}, sum(MISTRAL.values())),
        # both, and the only index is that of the .bin files
        (
            {"model.safetensors": 2000, **FALCON},
            named(*FALCON, index="pytorch_model.bin.index.json"),
            2000,
        ),
        (
            {**MISTRAL, **FALCON},
            {**named(*FALCON, index="pytorch_model.bin.index.json"), **named(*MISTRAL)},
            sum(MISTRAL.values()),
        ),
        # two precisions of the same
        ({"model.safetensors": 2000, "model.fp16.safetensors": 1000}, {}, 2000),
        # one file beside its own shards, without an index
        ({**LLAMA_3B, "model.safetensors": 6425500000}, {}, sum(LLAMA_3B.values())),
        # MiMiGame-1/Reflection-Llama-3.1-70B: many shards
        (shards([871_000_000] * 162), {}, 871_000_000 * 162),
        # a file that the index does not name is not loaded
        ({**MISTRAL, "extra.safetensors": 10**9}, named(*MISTRAL), sum(MISTRAL.values())),
        # a part beside the shards that no index names
        ({**MISTRAL, "mtp.safetensors": 10**9}, {}, sum(MISTRAL.values()) + 10**9),
    ],
)
def test_one_copy_of_what_is_loaded(
    files: dict[str, int], index: dict[str, Any], expected: int
) -> None:
    assert weigh({"config.json": 600, **files}, index).bytes == expected


@pytest.mark.parametrize(
    ("files", "said"),
    [
        # second-state/Mistral-Large-2407-GGUF (vllm#8570), NoelJacob/...-GGUF (vllm#17661)
        ({"a-Q4_K_M.gguf": 8 * GIB, "a-Q8_0.gguf": 16 * GIB}, "2 .gguf file(s)"),
        ({"meta-llama-3-8b-instruct-q4_k_m.gguf": 4_920_734_656}, "1 .gguf file(s)"),
        # SkkJodhpur/Meta-Llama-3.1-8B-...-GGUF-by-skk: an adapter beside it
        ({"adapter_model.safetensors": 167832240, "unsloth.Q8_0.gguf": 8540770368}, ".gguf"),
        # NotLoadedExe/llama3.1-8b-coder-devops
        ({"adapter_model.safetensors": 167832240, "adapter_config.json": 1207}, "only an adapter"),
        # j84m9/llama-3.2-1b-study
        ({"original/consolidated.00.pth": 2471677246}, "1 .pth file(s)"),
        # wswplay/stable-diffusion-v1-4
        ({"unet/diffusion_pytorch_model.safetensors": 3438167534}, "only in folder(s) unet"),
        ({}, "none"),
    ],
)
def test_what_vllm_does_not_load_is_unknown(files: dict[str, int], said: str) -> None:
    found = weigh({"config.json": 600, **files})
    assert found.bytes is None and said in found.said


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("size", [0, 134, 135, 1023])
def test_pointers_and_empty_files_are_no_weights(size: int, *, indexed: bool) -> None:
    """Git LFS pointers (git-lfs docs/spec.md: less than 1024 bytes) of a mirror, empty files."""
    files = shards([size, size])
    found = weigh(files, named(*files) if indexed else {})
    assert found.bytes is None and "pointers" in found.said
    shape = ModelShape.from_files(config("Qwen3-8B"), found)
    verdict = estimate(make_spec(), shape, 8 * GIB)
    assert "WEIGHTS_UNKNOWN" in [reason.code for reason in verdict.reasons]
    assert not any("0.00 GiB" in line for line in verdict.lines)


@pytest.mark.parametrize("indexed", [False, True])
def test_one_pointer_among_shards_is_a_shard_that_is_missing(*, indexed: bool) -> None:
    files = {**MISTRAL, "model-00002-of-00003.safetensors": 135}
    found = weigh(files, named(*files) if indexed else {})
    assert found.missing == ("model-00002-of-00003.safetensors",)
    assert found.bytes == 4949453792 + 4546807800


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (["model-00001-of-00003.safetensors"], ["00002-of-00003", "00003-of-00003"]),
        (["model-00002-of-00002.safetensors"], ["00001-of-00002"]),
        # numbers from 0, as some converters write
        (["model-00000-of-00002.safetensors"], ["00001-of-00002"]),
        (["pytorch_model-00001-of-00002.bin"], ["00002-of-00002"]),
        (["consolidated-00001-of-00002.safetensors"], ["00002-of-00002"]),
        (list(MISTRAL), []),
        (["model-00000-of-00002.safetensors", "model-00001-of-00002.safetensors"], []),
    ],
)
def test_shards_count_themselves(files: list[str], missing: list[str]) -> None:
    found = weigh(dict.fromkeys(files, 5_000_000_000))
    assert [name.partition("-")[2].partition(".")[0] for name in found.missing] == missing
    shape = ModelShape.from_files(config("Qwen3-8B"), found)
    verdict = estimate(make_spec(), shape, 80 * GIB)
    codes = [reason.code for reason in verdict.reasons]
    assert ("WEIGHTS_UNKNOWN" in codes) == bool(missing)
    assert ("at least" in verdict.lines[0]) == bool(missing)


def test_far_too_few_bytes_for_the_config_are_not_believed() -> None:
    tiny = weigh({"model.safetensors": 4_000_000})
    shape = ModelShape.from_files(config("Qwen3-8B"), tiny)
    assert shape.weights_bytes == 0 and "4,000,000 bytes" in shape.weights
    # a binary model is smaller than any other: 1.58 bits a weight
    small = weigh({"model.safetensors": 1_600_000_000})
    assert ModelShape.from_files(config("Qwen3-8B"), small).weights_bytes == 1_600_000_000


def test_a_file_that_only_the_index_has_is_told() -> None:
    files = dict(list(MISTRAL.items())[:2])
    found = weigh(files, named(*MISTRAL))
    assert found == Weights(
        sum(files.values()),
        "2 file(s) that model.safetensors.index.json names",
        ("model-00003-of-00003.safetensors",),
    )


class FakeHub:
    """Answers reads of small files from memory."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def read_small(self, _model: str, _manifest: Manifest, path: str, _limit: int) -> bytes:
        return self.texts[path].encode()


def listed(files: dict[str, int]) -> Manifest:
    entries = tuple(FileEntry(path, size) for path, size in files.items())
    return Manifest("owner/name", "master", "c" * 40, entries)


def test_the_step_reads_the_index_from_the_hub() -> None:
    spec = make_spec()
    files = {**MISTRAL, "extra.safetensors": 10**9, "config.json": 600}
    index = "model.safetensors.index.json"
    texts = {
        "config.json": json.dumps(config("Qwen3-8B")),
        index: json.dumps(named(*MISTRAL)[index]),
    }
    shape, _ = shape_of(cast(Hub, FakeHub(texts)), spec, listed({**files, index: 24_000}))
    assert shape is not None and shape.weights_bytes == sum(MISTRAL.values())
    # an index that is no JSON, or larger than anybody's, is as none
    for size, text in ((24_000, "{"), (10**9, texts[index])):
        hub = cast(Hub, FakeHub({**texts, index: text}))
        shape, _ = shape_of(hub, spec, listed({**files, index: size}))
        assert shape is not None and shape.weights_bytes == sum(MISTRAL.values()) + 10**9


def test_the_step_has_no_opinion_without_a_config() -> None:
    """mradermacher/Nemo-12B-Marlin-v7-GGUF (vllm#8401) has .gguf files alone."""
    hub = cast(Hub, FakeHub({}))
    manifest = listed({"Nemo-12B.Q4_K_M.gguf": 7 * GIB})
    shape, why = shape_of(hub, make_spec(), manifest)
    assert shape is None and "no config.json" in why
    assert shape_codes(manifest, why) == ["WEIGHTS_UNKNOWN"]


def shape_codes(manifest: Manifest, why: str) -> list[str]:
    """What is said of a model without a shape."""
    found = replace(survey(make_spec()), manifest=manifest, unread=why)
    reasons = fit_reasons(found, found.deployment([]))
    return [reason.code for reason in reasons if reason.code.endswith("UNKNOWN")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # fixie-ai/ultravox-v0_5-llama-3_1-8b (ultravox_config.py, its snapshot's fields)
        (
            '{"model_type": "ultravox", "text_model_id": "meta-llama/Llama-3.1-8B-Instruct", '
            '"hidden_size": 4096, "audio_config": {"model_type": "whisper"}}',
            "another repository, meta-llama/Llama-3.1-8B-Instruct",
        ),
        ('{"model_type": "xlstm", "num_blocks": 32, "embedding_dim": 4096}', "it has"),
        ('{"_class_name": "FluxPipeline"}', "_class_name"),
        ("[]", "no object"),
    ],
)
def test_a_shape_that_cannot_be_read_is_one_warning_that_says_why(text: str, said: str) -> None:
    manifest = listed({"config.json": len(text), "model.safetensors": 10**9})
    shape, why = shape_of(cast(Hub, FakeHub({"config.json": text})), make_spec(), manifest)
    assert shape is None and said in why
    assert shape_codes(manifest, why) == ["SHAPE_UNKNOWN"]


def test_layers_that_nobody_knows_are_one_warning() -> None:
    text = json.dumps({**config("Qwen3-8B"), "layer_types": ["jet"] * 36})
    manifest = listed({"config.json": len(text), "model.safetensors": 16 * 10**9})
    shape, why = shape_of(cast(Hub, FakeHub({"config.json": text})), make_spec(), manifest)
    assert shape is not None and why == ""
    found = estimate(make_spec(), shape, None)
    assert [reason.code for reason in found.reasons] == ["SHAPE_UNKNOWN"] and found.fits


def test_the_step_reads_mistrals_own_format_where_there_is_no_other() -> None:
    """mistralai/Pixtral-Large-Instruct-2411 has params.json and consolidated files alone."""
    text = json.dumps(NATIVE_CONFIGS["Pixtral-Large-Instruct-2411"][0])
    files = {"params.json": len(text), **shards([80 * 10**9] * 3, "consolidated")}
    shape, _ = shape_of(cast(Hub, FakeHub({"params.json": text})), make_spec(), listed(files))
    assert shape is not None and shape.weights_bytes == 240 * 10**9
    both = {"params.json": text, "config.json": json.dumps(config("Qwen3-8B"))}
    shape, _ = shape_of(cast(Hub, FakeHub(both)), make_spec(), listed({**files, "config.json": 1}))
    assert shape is not None and shape.layers == 36


# params.json: (fields, layers, KV bytes a token, longest context)
NATIVE_CONFIGS: dict[str, tuple[dict[str, Any], int, int, int]] = {
    # Mistral-7B-v0.1, all of whose layers have a window: of a token within it
    "Mistral-7B-v0.1": (
        {
            **{"dim": 4096, "n_layers": 32, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32},
            **{"n_kv_heads": 8, "sliding_window": 4096, "vocab_size": 32000},
        },
        *(32, 32 * 2 * 8 * 128 * 2, 128_000),
    ),
    # aws-neuron's port of it
    "Pixtral-Large-Instruct-2411": (
        {
            **{"dim": 12288, "n_layers": 88, "head_dim": 128, "hidden_dim": 28672, "n_heads": 96},
            **{"n_kv_heads": 8, "vocab_size": 32768, "vision_encoder": {"hidden_size": 1408}},
        },
        *(88, 88 * 2 * 8 * 128 * 2, 128_000),
    ),
    # tests of vLLM (MistralLarge3ForCausalLM)
    "Mistral-Large-3-675B": (
        {
            **{"dim": 7168, "n_layers": 61, "head_dim": 192, "hidden_dim": 16384, "n_heads": 128},
            **{"n_kv_heads": 128, "vocab_size": 131072, "max_position_embeddings": 294912},
            **{"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128},
            "moe": {
                **{"num_experts": 128, "num_shared_experts": 1, "expert_hidden_dim": 4096},
                **{"first_k_dense_replace": 3, "route_every_n": 1},
            },
            "yarn": {"factor": 36, "original_max_position_embeddings": 8192, "beta": 32},
        },
        *(61, 61 * 576 * 2, 294912),
    ),
    # one window in four, as mistral.py's list means it; constructed
    "windows": (
        {
            **{"dim": 1024, "n_layers": 8, "head_dim": 64, "hidden_dim": 4096, "n_heads": 16},
            **{"n_kv_heads": 4, "sliding_window": [None, 512, 512, 512], "max_seq_len": 32768},
        },
        *(8, 2 * 2 * 4 * 64 * 2, 32768),
    ),
}


@pytest.mark.parametrize("name", NATIVE_CONFIGS)
def test_mistrals_own_format_is_read(name: str) -> None:
    params, layers, token, longest = NATIVE_CONFIGS[name]
    shape = ModelShape.from_config(as_config(params), 1)
    assert (shape.layers, shape.kv_bytes_per_token(1)) == (layers, token)
    assert (shape.max_positions, shape.hidden) == (longest, params["dim"])
    assert (shape.experts is not None) == ("moe" in params)


TOLD = [row.told for row in rows() if row.told["files"]]


@pytest.mark.parametrize("told", TOLD, ids=lambda told: str(told["model"]))
def test_the_files_of_what_served_are_believed(told: dict[str, Any]) -> None:
    shape = ModelShape.from_files(config(told["config"]), Weights(told["files"], "files"))
    assert shape.weights_bytes == told["files"] and shape.least_elements > 0
