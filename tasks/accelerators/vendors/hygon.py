"""Hygon DCU and HCU."""

from __future__ import annotations

from tasks.accelerators.types import (
    Component,
    DeviceFile,
    Exporter,
    HostMount,
    Labels,
    NoCards,
    Profile,
    ResourcePattern,
    Sharing,
    Smi,
)
from tasks.accelerators.vendors.common import (
    DROP_BUT_PTRACE,
    GPUSTACK,
    HAMI,
    HAMI_SOURCE,
    PTRACE,
    UNCONFINED,
    VIDEO,
    gpustack_parts,
)

_MIG = r"mig-(?P<part>\d+)g[.-](?P<gb>\d+)gb"
_PART = rf"(share-\d+c-(?P<share_gb>\d+)g|{_MIG})"

_PLUGIN = "HYGON-AI/k8s-hcu-device-plugin v3.0.0, 2026-08; plugin 2.4: undated, read 2026-09"
_DCGM = "HYGON-AI/hcu-dcgm pkg/dcgm/structs.go, 2026-08"
_MODES = "HYGON-AI/k8s-hcu-device-plugin v3.0.0 README and deployment/static, 2026-08"

HYGON = Profile(
    name="hygon-dcu",
    # the vendor renamed DCU to HCU: plugin 2.x registers dcu, plugin 3.0 hcu
    resources=(
        ResourcePattern("whole", r"hygon\.com/hcu", "hcu"),
        ResourcePattern("whole", r"hygon\.com/dcu", "dcu"),
        ResourcePattern("dynamic", r"hygon\.com/hcunum", "hcu", counts=True, per_card=4),
        ResourcePattern("dynamic", r"hygon\.com/dcunum", "dcu", counts=True, per_card=4),
        ResourcePattern("dynamic", r"hygon\.com/hcumem", "hcu", mib=1),
        ResourcePattern("dynamic", r"hygon\.com/dcumem", "dcu", mib=1),
        ResourcePattern("dynamic", r"hygon\.com/hcucores", "hcu"),
        ResourcePattern("dynamic", r"hygon\.com/dcucores", "dcu"),  # vDCU 2.x, HAMi
        # at most four shares a card (plugin 3.0); compute units of the card or MIG slices, then GB
        ResourcePattern("split", rf"hygon\.com/hcu-{_PART}", "hcu", per_card=4),
        ResourcePattern("split", rf"hygon\.com/dcu-{_PART}", "dcu", per_card=4),
        ResourcePattern("split", r"hygon\.com/hcu-(share|mig)-.+", "hcu", per_card=4),
        ResourcePattern("split", r"hygon\.com/dcu-(share|mig)-.+", "dcu", per_card=4),
        *gpustack_parts(r"hygon\.com/[dh]cu", per_card=4),
        # Koordinator's name of cards; its shares are under koordinator.sh
        ResourcePattern("whole", r"dcu\.com/gpu", "koordinator"),
        ResourcePattern("dynamic", r"dcu\.com/gpu.+", "koordinator"),
        ResourcePattern("named", r"hygon\.com/(?!dcu|hcu).+", "named"),
    ),
    labels=Labels(
        presence=("hygon.com/hcu", "hygon.com/dcu"),
        model=("hygon.com/hcu.name", "hygon.com/dcu.name"),
        memory=("hygon.com/hcu.vram", "hygon.com/dcu.vram"),
        compute_units=("hygon.com/hcu.cu-count", "hygon.com/dcu.cu-count"),
        driver=("hygon.com/hcu.driver-version", "hygon.com/dcu.driver-version"),
        no_cards=(
            NoCards(
                "hcu",
                "^on$",
                "the plugin of whole cards leaves the node to the driver of dynamic resource "
                "allocation (DeviceClass dra.hygon.com) and to its own dynamic shares",
                "where that driver runs (kubectl get resourceslices shows what it publishes) name "
                "a ResourceClaimTemplate of its class in nodes.claim_template; for whole cards "
                "take the label off",
                f"{_MODES}; k8s-hcu-dra-driver v1.0.0, 2026-08",
            ),
            NoCards(
                "hcu-mode",
                "^mig$",
                "the plugin of whole cards leaves the node to the one for MIG",
                "deploy the plugin with its strategy mig, or take the label off and undo MIG",
                _MODES,
            ),
        ),
    ),
    modules=("hycu", "hydcu"),  # hycu from 6.3, hydcu up to 6.2
    pci_vendor="1d94",
    # the vendor id alone also matches Hygon CPU devices
    pci_classes=("02", "03", "0b", "12"),
    models={
        **{"55b7": "Z100L", "55c7": "Z200SM_71", "55d7": "Z200SM_71_S"},
        **{"61a7": "K500SM_B", "61c7": "K500SM_B", "61b7": "K500SM", "61d7": "K500SM"},
        **{"61e7": "K500SM", "61f7": "HG Design HCU K500", "6214": "HG Design HCU K500"},
        **{"6210": "K100_AI", "6211": "K100_LC_E_AI", "6212": "K100_LC_AI", "6213": "K100_AI_i"},
        **{"62a0": "K500SM_AI", "62b0": "K500SM_AI", "62b7": "K100", "62c7": "K100-LC"},
        **{"6310": "BW200", "6311": "BW200_LC", "631a": "BW1000_H", "6320": "BW150"},
        **{"6321": "BW100_LC", "632a": "BW151", "6330": "BW500SM", "6360": "BW10"},
        **{"636a": "BW11", "6370": "BW100", "637a": "BW101", "6423": "BW1500B"},
        **{"6430": "BW1100", "6431": "BW1000_LC", "6436": "BW3000B", "6437": "BW3000B_LC"},
    },
    # other spellings: lspci, hy-smi of older drivers; K500SM_AI is the K100_AI board (gfx928)
    aliases={
        **{"K100-AI": "K100_AI", "K100AI": "K100_AI", "K500SM_AI": "K100_AI"},
        **{"K100_AI_i": "K100_AI", "BW": "BW1000", "K100-LC": "K100_LC"},
    },
    model_noise=r"\s+\d+\s*GB?$",  # hy-smi prints 'BW1000 64G'
    sharings=(
        Sharing(
            "HAMi",
            f"{HAMI_SOURCE}: docs/protocol, HAMi#2969 and WebUI PR 302 (the rename)",
            memory="asked",
            register=r"hami\.io/node-(dcu|hcu)-register",
            virtual=True,
            apart=True,
        ),
        # parts have names of their own: under a card's name there is one where none is divided
        *(
            Sharing(
                "MIG or shares, by the plugin's label",
                _MODES,
                memory="unknown",
                labels=((key, r"^(share|mig)$"),),
            )
            for key in ("hcu-mode", "dcu-mode", "hygon.com/hcu-mode", "hygon.com/dcu-mode")
        ),
    ),
    device_class="dra.hygon.com",
    devices=(
        DeviceFile("/dev/kfd", "char"),
        DeviceFile("/dev/mkfd", "char"),
        DeviceFile("/dev/dri", "dir", r"(card|renderD)\d+"),
    ),
    sys_paths=("/sys/class/kfd",),
    mounts=(
        HostMount("hyhal", "/opt/hyhal", "Directory", True, "the driver's user-space half"),
        HostMount("dev-kfd", "/dev/kfd", "CharDevice", False, "compute device"),
        HostMount("dev-mkfd", "/dev/mkfd", "CharDevice", False, "compute device of driver 6.x"),
        HostMount("dev-dri", "/dev/dri", "Directory", False, "render devices"),
        HostMount(
            "kernel-debug",
            "/sys/kernel/debug",
            "",
            True,
            "from driver 6.3 hy-smi shows no processes in a container without it",
        ),
    ),
    pod_security={"supplementalGroups": [44], "seccompProfile": {"type": "Unconfined"}},
    container_security={"capabilities": DROP_BUT_PTRACE},
    security_reasons=(VIDEO, UNCONFINED, PTRACE),
    smi=(
        Smi(
            name="hy-smi",
            candidates=("/opt/hyhal/bin/hy-smi", "/usr/local/hyhal/bin/hy-smi"),
            runs=(
                (),
                ("--showdriverversion",),
                ("--showmemavailable",),
                ("--showid", "--showproductname", "--showuse", "--showmeminfo", "vram", "--json"),
            ),
            parser="hy-smi",
            libraries=("/opt/hyhal/lib", "/usr/local/hyhal/lib"),
        ),
    ),
    components=(
        Component("virtual-plugin", rf"v[dh]cu(-device)?-plugin|[dh]cu-vgpu|{HAMI}"),
        Component("dra-driver", r"[dh]cu-dra-driver"),
        Component("device-plugin", r"(?<!v)[dh]cu(-device)?-plugin|device-manager-hygon"),
        Component("label-node", r"[dh]cu-label-node|label-node"),
        Component("exporter", r"[dh]cu-exporter"),
    ),
    exporter=Exporter(
        port=16080,
        temperature=r"(dcu|hcu)_temp",
        uncorrectable=r"(dcu|hcu)_ue_count",
        health=r"hcu_health_status",
        pod_labels=("dcu_pod_name", "hcu_pod_name", "exported_pod", "pod"),
        index_labels=("minor_number", "device_id", "gpu", "id"),
    ),
    toolkit_name="DTK",
    toolkit_example="DTK 25.04.1",
    compatibility="hygon",
    builds_driver=True,
    toolkit=r"dtk[-_:]?(\d{2}\.\d{2}(?:\.\d+)?|\d{4}\.\d(?!\d)|\d{4,5})",
    toolkit_digits=r"(\d{2})(\d{2})\.?(\d?)",
    temperature_limit_c=95.0,
    probe_paths=("/opt", "/usr/local", "/usr/src"),
    sources={
        "resources": f"{_PLUGIN}; {HAMI_SOURCE}; {GPUSTACK}; dcu.com/gpu: "
        "koordinator-sh/koordinator docs/proposals, Enhance the GPU Share API, 2023-08",
        "labels": "HYGON-AI/k8s-hcu-label-node v3.0.0 README, 2026-08; of 2.x: undated, read "
        "2026-09",
        "components": f"{_PLUGIN}; HYGON-AI/k8s-hcu-dra-driver v1.0.0, 2026-08; hcu-exporter, "
        "read 2026-10",
        "models": _DCGM,
        "aliases": f"{_DCGM} (NormalizeDevTypeName); hy-smi and lspci of a field report of eight "
        "K100_AI, "
        "undated, read 2026-09",
        "device_class": "HYGON-AI/k8s-hcu-dra-driver v1.0.0, 2026-08",
        "devices": f"{_PLUGIN}; modules and PCI classes: the vendor's label-node and a field "
        "report, "
        "undated, read 2026-09",
        "exporter": "HYGON-AI/hcu-exporter, its metrics of 2.x and 3.x, undated, read 2026-10",
        "toolkit": "image lists of sourcefind.cn and of HYGON-AI cookbooks, undated, read 2026-10",
    },
)
