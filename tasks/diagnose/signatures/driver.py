"""Ends for want of a card: driver and toolkit libraries, their versions, cards that are not seen.

The driver's libraries come from the node, mounted by its container runtime where the pod asks for
a device; the toolkit's come with the image. Which is which decides what to do.
"""

from __future__ import annotations

from tasks.diagnose.signatures.table import Groups, row

_MOUNT = (
    "check that the pod asks for the device plugin's resource, and that the node's container "
    "runtime (its runtime class) mounts the host's driver"
)
# Libraries of the host's driver, by vendor: NVIDIA, Ascend (driver/lib64), Cambricon, Moore
# Threads, MetaX, Iluvatar (what ix-container-toolkit mounts), Hygon's and AMD's management.
_DRIVER = (
    r"lib(?:cuda|nvidia-[\w-]+|nvcuvid|ascend_hal|drvdsmi_host|dcmi|devmmap|cndrv|cndev|musa|mtml|"
    r"mxsml|ixml|ixthunk|efml|hgml|xpuml|hydmi|mmpa|srv_um\w*|drm_mtgpu|tsclient|hyhal\w*)\.so"
)
# Libraries of the toolkit: CUDA, ROCm and DTK, CANN with its NNAL, MACA, Neuware, MUSA, TopsRider,
# CoreX, XPU, and their makers' kernels.
_TOOLKIT = (
    r"lib(?:cudart|cublas\w*|cudnn\w*|cufft|curand|cusparse\w*|cusolver\w*|cupti|nvrtc|nvJitLink|nccl|"
    r"amdhip64|hsa-runtime64|hsakmt|galaxyhip|hip\w+|roc\w+|rccl|MIOpen|atb|hccl|ascendcl|acl_\w+|opapi|"
    r"ge_\w+|runtime|msprofiler|mki|ascend_transport|ascend_protobuf|platform|error_manager|adump|"
    r"hcom_\w+|cufile|cn(?:rt|nl|cl|papi)\w*|mc(?:dnn|blas|fft|solver|sparse|rand)\w*|"
    r"mu(?:blas|dnn|fft|rand|sparse|solver)\w*|tops|eccl|gcu|ix(?:blas|dnn|ccl)|corex|xpucuda|bkcl|"
    r"amd_smi)\.so|ascend_transport\.so"
)
# Of these it depends on the vendor's release whether driver or toolkit brings them: MetaX,
# Kunlunxin, Enflame, Intel, Moore Threads, Ascend.
_EITHER = r"lib(?:mcruntime|xpurt|topsrt|ze_loader|mccl|c_sec)\.so"
# Libraries of a distribution, of Python's wheels and of torch: the image brings these, whatever the
# node. Of any other that is missing nobody here knows whose it is.
_IMAGE = (
    r"lib(?:GL\w*|EGL|OpenGL|glib|gthread|gobject|SM|ICE|X\w+|xcb|xml2|g?omp|iomp\d|stdc|gcc_s|"
    r"python[\d.]+m?|numa|ssl|crypto|ffi|z|bz2|lzma|zstd|sqlite3|tcmalloc\w*|jemalloc|mpi\w*|"
    r"open-?(?:rte|pal)|openblas\w*|blas|lapack|gfortran|quadmath|mkl_\w+|sndfile|sox|av\w+|sw\w+|"
    r"jpeg|turbojpeg|png\d*|tiff|webp|curl|uv|ibverbs|rdmacm|mlx\d|uc[pstm]|nl-\d|elf|tinfo|"
    r"ncurses\w*|readline|expat|uuid|dl|rt|m|c|pthread|atomic|tbb\w*|protobuf|boost_\w+|arrow|"
    r"c10\w*|torch(?:_(?:cpu|cuda|hip|python|global_deps|cuda_linalg))?|torchaudio|shm|"
    # plugins that are looked for and need not be there
    r"[nr]ccl-\w+)(?:-[\d.]+)?\.(?:so|musl)|libstdc\+\+"
)
_ABSENT = r": (?:cannot open shared object file|file too short|invalid ELF header)"


def _too_few(g: Groups) -> str:
    wants = f"{g['ranks']} ranks" if g["ranks"] else f"a rank {g['rank']} (from 0)"
    has = f"{g['cards']} device(s)" if g["cards"] else "fewer devices"
    return f"the engine makes {wants} on this node, its container has {has}"


ROWS = (
    row(
        # what the host's driver brings, no image can
        "driver-library",
        rf"(?P<file>(?:/\S+/)?{_DRIVER}[\w.]*){_ABSENT}",
        "the accelerator's library {file} is not in the container: the host's driver is not "
        "mounted",
        _MOUNT,
        "vllm-project/vllm-ascend#1440, NVIDIA/nvidia-docker#828, dengcao/Qwen3-Reranker-0.6B#2",
        decides=True,
        warned=True,
        demotes="no-device",
    ),
    row(
        "toolkit-library",
        rf"(?P<file>(?:/\S+/)?{_EITHER}[\w.]*){_ABSENT}",
        "the accelerator's library {file}, of driver or toolkit, is not in the container",
        "use an image that brings the vendor's toolkit and its entry point; where the image has no "
        f"such file, the driver brings it: {_MOUNT}",
        "libraries by the vendors' own toolkits, no public log",
        hopeless=False,
        decides=True,
    ),
    row(
        "driver-library",
        r"(?P<what>NVML Shared Library Not Found|Can't initialize NVML|"
        r"Failed to initialize NVML: (?!Driver/library|Unknown)\S+|"
        r"Found no NVIDIA driver on your system|"
        r"libcuda\.so cannot (?:be )?found|NVMLError_DriverNotLoaded|"
        r"CUDA driver is a stub library|"
        r"libcuda\.so: cannot open|could not select device driver)",
        "the NVIDIA driver is not in the container, or too old for it: {what}",
        f"{_MOUNT}; a stub of the toolkit (lib64/stubs) must not stand on LD_LIBRARY_PATH",
        "vllm-project/vllm#15800, triton-lang/triton third_party/nvidia/backend/driver.py, "
        "CUDA Runtime API cudaErrorStubLibrary (34)",
    ),
    row(
        # Triton counts the backends whose driver it can load
        "driver-library",
        r"RuntimeError: (?P<what>0 active drivers \(\[\]\))",
        "Triton finds no driver of any card in the container: {what}",
        _MOUNT,
        "triton-lang/triton python/triton/runtime/driver.py",
    ),
    row(
        "toolkit-library",
        rf"(?P<file>(?:/\S+/)?(?:{_TOOLKIT})[\w.]*)(?:{_ABSENT}|: wrong ELF class| not found)",
        "the toolkit's library {file} is not on the image's library path, or of another release",
        "use an image that brings it, and its entry point (/opt/dtk/env.sh, CANN's set_env.sh, "
        "nnal/atb/set_env.sh set LD_LIBRARY_PATH); where the site mounts the toolkit from the host "
        "(/opt/hyhal, /opt/dtk), check that mount",
        "flagos-ai/FlagTree#618, vllm-project/vllm-ascend#152, vllm-project/vllm#1738",
    ),
    row(
        # No list of vendors' libraries is whole: what is not the image's may be the host's.
        "toolkit-library",
        rf"(?<![\w./-])(?P<file>(?:/\S+/)?(?!{_IMAGE})lib[\w+-]+\.so[\w.]*){_ABSENT}",
        "the library {file} is not in the container; not known whether driver or toolkit brings it",
        "look for it in the image (find / -name) and on the node: where the driver brings it, "
        f"{_MOUNT}; where the toolkit's has it, use an image with the toolkit and its entry "
        "point (LD_LIBRARY_PATH)",
        "MooreThreads/torch_musa FAQ, gpustack/gpustack#1116",
        hopeless=False,
    ),
    row(
        "driver-fabric",
        r"(?:Error 802|error(?: \(802\) ?)?): system not yet initialized|cudaErrorSystemNotReady|"
        r"CUDA_ERROR_SYSTEM_NOT_READY",
        "the cards' NVLink fabric is not up: the node's fabric manager does not run, or is of "
        "another release than the driver",
        "install and start nvidia-fabricmanager of the driver's release on the node; where only "
        "the engine's symmetric memory meets it, VLLM_ALLREDUCE_USE_SYMM_MEM=0 in serving.env",
        "MiniMax-AI/MiniMax-M2.5#9, gpustack/gpustack#4154, vllm-project/vllm#26922",
    ),
    row(
        "driver-init",
        r"CUDA unknown error - this may be due to an incorrectly set up environment|"
        r"CUDA driver initialization failed, you might not have a CUDA gpu|"
        r"NVMLError_Unknown|Failed to initialize NVML: Unknown Error|"
        r"Error 304: OS call failed|CUDA_ERROR_OPERATING_SYSTEM",
        "the driver is in the container and does not start there: a device file (/dev/nvidia-uvm) "
        "or kernel module is missing, access to it was lost, or a card is in error",
        "on the node: nvidia-smi, modprobe nvidia_uvm, the kernel log; start the pod anew (a "
        "reload of systemd takes a running container's devices away)",
        "pytorch/pytorch#49081, NVIDIA/nvidia-container-toolkit#564, Project-HAMi/HAMi#248",
        hopeless=False,
    ),
    row(
        "driver-init",
        r"MPS client failed to connect to the MPS (?P<what>control daemon|server)",
        "the card is shared by MPS, whose {what} the container does not reach",
        "see the plugin's MPS daemon on the node (mps-control-daemon), and that the pod asks for "
        "the plugin's resource, which mounts its pipes; a daemon started by hand is not in the pod",
        "NVIDIA/nvidia-container-toolkit#714",
        hopeless=False,
        decides=True,
    ),
    row(
        "driver-mismatch",
        r"Error 80[34]: (?P<what>[\w ]+/?[\w ]*)|"
        r"(?P<what2>system has unsupported display driver / cuda driver combination|"
        r"forward compatibility was attempted on non supported HW)",
        "the image's toolkit and the node's kernel driver do not go together: {what}",
        "use an image for this driver, renew the driver, or take the CUDA compatibility library "
        "(/usr/local/cuda/compat) out of LD_LIBRARY_PATH",
        "gpustack/gpustack#2691, llm-d/llm-d#706, gpustack/gpustack#3686",
    ),
    row(
        "driver-mismatch",
        r"NVMLError_LibRmVersionMismatch|NVML/RM version mismatch|Driver/library version mismatch",
        "the node's driver was renewed under a running kernel module",
        "restart the node, or load the kernel module anew",
        "vllm-project/vllm#29737",
    ),
    row(
        "driver-too-old",
        r"driver on your system is too old \(found version (?P<found>\d+)\)",
        lambda g: (
            "the image's CUDA is newer than the node's driver serves, which is CUDA "
            f"{int(g['found']) // 1000}.{int(g['found']) % 1000 // 10}"
        ),
        "use an image for that CUDA, or renew the driver on the node",
        "zai-org/ChatGLM3#100, vllm-project/vllm#1772",
    ),
    row(
        "driver-too-old",
        r"(?P<what>driver version is insufficient for (?:\w+ )?runtime version)",
        "the image's toolkit is newer than the node's driver serves, or no driver is mounted: "
        "{what}",
        f"renew the driver on the node, or use an image for its release; {_MOUNT}",
        "NVIDIA/hpc-container-maker#239, NVIDIA/nvidia-docker#400",
    ),
    row(
        "driver-too-old",
        r"(?P<what>CUDA error: the provided PTX was compiled with an unsupported toolchain|"
        r"requires? (?:a )?newer (?:NVIDIA )?driver|unsatisfied condition: cuda>=\S+|"
        r"please update your driver to a newer version)",
        "the image's CUDA is newer than the node's driver serves: {what}",
        "use an image for the driver's CUDA, or renew the driver on the node",
        "NVIDIA/nvidia-container-toolkit nvidia-container-cli",
        decides=True,
    ),
    row(
        # gpustack#5334; the host's ROCM_PATH in the container
        "toolkit-path-leak",
        r"ROCm compiler (?P<path>\S*clang\S*) not found|"
        r"(?P<path2>/\S*llvm/bin/clang\S*?):? not found",
        "the toolkit looks for its compiler where this image has none: ROCM_PATH of the host "
        "leaked into the container",
        "remove ROCM_PATH from serving.env and from the image's mounts of /opt/dtk or /opt/hyhal; "
        "image and driver must be of releases that go together",
        "gpustack/gpustack#5334, gpustack/gpustack#5305",
        decides=True,
    ),
    row(
        "visible-devices",
        r"set (?P<name>ASCEND_RT_VISIBLE_DEVICES):\s?\[?(?P<list>[\d,]+)\]? error, "
        r"(?P<what>(?:it must|input data)[^\n\[]*(?:\[\S+)?)",
        "{name}={list} names cards this container does not have in that form: {what}",
        "take {name} out of serving.env and leave it to the device plugin; inside a pod cards "
        "count from 0, upwards",
        "gpustack/gpustack#2527, gpustack/gpustack#3352",
        decides=True,
    ),
    row(
        "visible-devices",
        r"Set visible device failed, invalid device=(?P<card>\d+), input visible devices:"
        r"(?P<list>[\d,]*)",
        "device {card} is asked for, the container's list of cards is {list}: numbers count inside "
        "that list",
        "take ASCEND_RT_VISIBLE_DEVICES out of serving.env; with Ray set "
        "RAY_EXPERIMENTAL_NOSET_ASCEND_RT_VISIBLE_DEVICES=1",
        "vllm-project/vllm-ascend#167",
        decides=True,
    ),
    row(
        "visible-devices",
        r"(?:invalid device, set (?:drv )?device=(?P<card>\d+), valid device range is|"
        r"(?:SetDevice|ChgUserDevIdToDeviceId) failed because value (?P<card2>\d+) for [^\n]{1,60}"
        r"Expected value:) (?P<range>\[\d+, ?\d+\))",
        "device {card} is asked for, the container has {range}",
        "ask for as many devices as the engine makes ranks; take ASCEND_RT_VISIBLE_DEVICES out of "
        "serving.env and leave it to the device plugin: it counts inside the container, upwards",
        "vllm-project/vllm#17363, Ascend/pytorch TORCH_NPU_COMPACT_ERROR_OUTPUT.md",
        decides=True,
    ),
    row(
        # a kind: the lines above name the card
        "visible-devices",
        r"error code is 107001|runtime result = 107001|reason=\[?device id error|"
        r"\[Error\]: Invalid device ID|AssertionError: Invalid device id",
        "a device number is used that the container does not have",
        "ask for as many devices as the engine makes ranks; take *_VISIBLE_DEVICES out of "
        "serving.env and leave it to the device plugin: inside a pod cards count from 0, upwards",
        "vllm-project/vllm-ascend pull 10125, vllm-project/vllm-ascend#449, vllm-project/vllm#5527",
        vague=True,
        decides=True,
    ),
    row(
        "visible-devices",
        r"invalid literal for int\(\) with base 10: [b]?'(?P<card>(?:GPU|MIG)-[^']+)'",
        "CUDA_VISIBLE_DEVICES names the card {card} by its id, this vLLM reads numbers only",
        "use an image with vLLM 0.24 or later, or name the card by its number",
        "noonghunna/club-3090 docs/PODS.md",
    ),
    row(
        "too-few-devices",
        r"World size \((?P<ranks>\d+)\) is larger than the number of available GPUs "
        r"\((?P<cards>\d+)\)|"
        r"local_world_size \((?P<ranks2>\d+)\) (?:must be less than or equal to the number of "
        r"visible devices|exceeds assigned_physical_gpu_ids count) \((?P<cards2>\d+)\)|"
        r"(?:world_size|tensor_parallel_size) \((?P<ranks3>\d+)\) (?:is|to) less than (?:than )?"
        r"max local gpu count \((?P<cards3>\d+)\)|"
        r"local rank (?P<rank>\d+) is out of bounds(?: for (?P<cards4>\d+) devices|"
        r"\.? Device count: (?P<cards5>\d+))?|"
        r"Error setting \w+_VISIBLE_DEVICES: local range: \[(?P<rank2>\d+), ?(?P<ranks4>\d+)\)"
        r"[^\n]{0,40}",
        _too_few,
        "ask for as many devices as ranks (tensor x pipeline x data parallel size), or lower it; "
        "take *_VISIBLE_DEVICES out of serving.env; over several nodes Ray must be asked for "
        "(--distributed-executor-backend ray)",
        "vllm-project/vllm#29447, vllm-project/vllm#28873, vllm-project/vllm#15217, "
        "vllm-project/vllm v1/worker/gpu_worker.py, v1/engine/utils.py",
    ),
    row(
        # NCCL names the card by its bus
        "too-few-devices",
        r"Duplicate GPU detected ?: rank (?P<one>\d+) and rank (?P<other>\d+) both on \w+ device "
        r"(?P<card>\w+)",
        "ranks {one} and {other} use one card (bus {card}): the container has fewer cards than "
        "ranks, or each process sees the same one",
        "ask for as many devices as ranks (tensor x pipeline x data parallel size); take "
        "*_VISIBLE_DEVICES out of serving.env; a card that is shared counts once",
        "vllm-project/vllm#17176, verl-project/verl#161, NVIDIA/Megatron-LM#661",
        decides=True,
    ),
    row(
        "visible-devices",
        r"\b(?!driver\b)\w+ error: invalid device ordinal|"
        r"Insufficient devices for|device=\S+, num_gpus=|"
        r"[Tt]ensor parallel size \S+ cannot be larger than the number of available GPUs",
        "more cards are used than the container has",
        "ask for as many devices as the engine makes ranks; take *_VISIBLE_DEVICES out of "
        "serving.env",
        "ARahim3/kaggle-tpu-lab#7",
    ),
    row(
        "no-device",
        r"no \w+-capable device|No \w+ (?:GPU|device)s (?:are|is) (?:available|found)|"
        r"can't find any available npu|"
        r"No (?:NPU|MLU|MUSA|XPU)s? (?:devices? )?(?:(?:are|is) )?(?:available|found)",
        "the engine sees no accelerator in its container",
        "check the driver on the node (rollout check-nodes), that the pod asks for the device "
        "plugin's resource, that its groups may open the device files (video, render), and that a "
        "vDCU plugin does not hide the card",
        "Project-HAMi/HAMi#1776, kyuz0/amd-strix-halo-vllm-toolboxes#6",
        decides=True,
    ),
    row(
        # says only that nothing was found; a library that is missing says why
        "no-device",
        r"Failed to infer device type|UnspecifiedPlatform\b.{0,80}(?:not|no) |"
        r"Device string must not be empty|"
        r"^\w*(?:Error|Exception): (?:CUDA|ROCm|HIP|MUSA|NPU|XPU) is not available\b",
        "the engine sees no accelerator in its container",
        "check that the pod asks for the device plugin's resource and the runtime class mounts the "
        "driver (rollout check-nodes); VLLM_LOGGING_LEVEL=DEBUG tells what each platform saw",
        "vllm-project/vllm#39378",
        vague=True,
    ),
    row(
        "device-held",
        r"CUDA-capable device\(s\) is/are busy or unavailable|all CUDA-capable devices are busy",
        "the card is held by another process (exclusive mode), or in error",
        "find what else holds the card (a pod still stopping, a process outside Kubernetes), look "
        "at its compute mode, reset it",
        "hiyouga/LlamaFactory#10240",
        hopeless=False,
    ),
    row(
        "card-fault",
        r"(?P<what>uncorrectable (?:NVLink|ECC) error|GPU is lost|has fallen off the bus|"
        r"Device\[\d+\] lost heartbeat|lost heartbeat|Device_Absent/Abnormal|"
        r"NVRM: Xid[^\n]{0,80}|UR_RESULT_ERROR_DEVICE_LOST|error code is 507010|EL0001)",
        "the card is faulty or gone: {what}",
        "take the card out of service and look at the node's kernel log and the vendor's tool; a "
        "reset may bring it back once",
        "vllm-project/vllm#5222, vllm-project/vllm-ascend#8186, intel/llm-scaler#595",
        hopeless=False,
        decides=True,
    ),
    row(
        "device-reset",
        r"CUDA driver error: device not ready",
        "the card was reset from outside the engine (a driver's time limit); it is no question of "
        "memory",
        "raise the driver's time limit",
        "noonghunna/club-3090 docs/HARDWARE.md",
        hopeless=False,
    ),
)
