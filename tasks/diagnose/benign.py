"""Lines that look like an error and end nothing, by public logs of engines that went on.

What a warning says is left out already by its level (tasks.diagnose.lines); here stand those that
come as an error, or with no level at all.
"""

from __future__ import annotations

import re

# (pattern, where it was seen)
ROWS: tuple[tuple[str, str], ...] = (
    # optional parts that are looked for
    (r"Failed to import vllm_ascend_C", "vllm-project/vllm-ascend#703"),
    (r"libvllm_ascend_kernels\.so", "vllm-project/vllm-ascend#1114"),
    (r"Failed to import from vllm\._(?:moe_|rocm_)?C\b", "vllm-project/vllm-ascend#1305"),
    (r"Failed to import Ray with ModuleNotFoundError", "intel/ipex-llm#12184"),
    (r"Exception happens when checking \w+ platform", "vllm-project/vllm#15800"),
    (r"failed jit build \[module_aiter", "ROCm/legacy-rocm-build#5788"),
    (r"Current hipcc not support: ", "Dao-AILab/flash-attention#2580"),
    (r"Using AMD GPUs, but library \"aiter\" is not installed", "ROCm/legacy-rocm-build#5788"),
    (r"Triton is (?:not installed|installed but 0 active driver)", "vllm-project/vllm#19845"),
    (r"not found tuned config in ", "vllm-project/vllm#43605"),
    # what is tried again in another way
    (r"OOM detected.*falling back to default", "noonghunna/club-3090#613"),
    (r"^Device does not support multicasting", "pytorch/pytorch pull 136894"),
    (r"MIOpen\S* Error \[\w+\] \S+ is not writable", "ROCm/MIOpen src/sqlite_db.cpp"),
    # start scripts
    (r"ldconfig\S*: Can't create temporary cache file", "realsenseai/realsense-ros#3197"),
    (r"from LD_PRELOAD cannot be preloaded .*: ignored", "glibc elf/rtld.c"),
    (r"^(?:Error in )?cpuinfo: ", "pytorch/cpuinfo#14"),
    # the hub is asked for an index that a local folder does not have there
    (r"Error retrieving (?:safetensors|file list)", "ROCm/aiter#1395"),
    # folders of a user without a home: a report, plots, fonts
    (r"Permission denied: '(?:/[^\s']{0,80})?/\.config(?:/vllm[^']*)?'", "llm-d/llm-d#1430"),
    (r"mkdir -p failed for path \S*matplotlib", "matplotlib/matplotlib lib/matplotlib/__init__.py"),
    (
        r"(?:matplotlib|fontconfig|MPLCONFIGDIR).*(?:Permission denied|not a writable|No writable)",
        "matplotlib/matplotlib lib/matplotlib/__init__.py",
    ),
    (r"Could not open /var/log/hylog", "Project-HAMi/HAMi#1776"),
    (r"DrvMngGetConsoleLogLevel failed", "vllm-project/vllm-ascend#2698"),
    (r"Can not get device info, you can use BIND_CPU=0", "gpustack/gpustack#3352"),
    (r"get_mempolicy: Operation not permitted", "vllm-project/vllm#24016"),
    # what vLLM keeps of a model's class, for a faster start
    (r"Error saving model info cache|/vllm/modelinfos", "llm-d/llm-d-kv-cache#565"),
    # words of an end that others brought about
    (r"destroy_process_group\(\) was not called before program exit", "vllm-project/vllm#31273"),
    (r"resource_tracker: There appear to be \d+ leaked", "vllm-project/vllm#15800"),
    (r"Parent process exited, terminating worker", "vllm-project/vllm-ascend#5509"),
    (r"Exception ignored in: ", "vllm-project/vllm#28460"),
    (r"sys\.meta_path is None, Python is likely shutting down", "run-llama/llama_index#13019"),
    # a word of error within advice
    (r"If out-of-memory error occurs during cudagraph capture", "vllm-project/vllm#15598"),
    (r"object store is using /tmp instead of /dev/shm", "vllm-project/vllm#1710"),
    # transformers' logger names no level where its caller gives it none
    (r"Unrecognized keys in `rope_\w+`", "transformers modeling_rope_utils.py"),
    (r"is connected to 0 peer ranks", "vllm-project/vllm#28460"),
)
BENIGN = re.compile("|".join(f"(?:{pattern})" for pattern, _ in ROWS), re.IGNORECASE)
