"""A folder that looks like the root of a host with eight K100_AI cards, for probes in tests.

Device files are plain files: a probe accepts them only with --allow-plain-devices. The smi tool
is a shell script that prints what hy-smi printed in the field report (eight cards, driver 6.3).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

FAULTS = (
    "driver missing",
    "old driver",  # hydcu 5.16 knows no K100_AI, so that the tool lists none
    "old driver line",  # hydcu 6.2: works with K100_AI
    "version file absent",
    "card lost",
    "card hot",
    "mkfd absent",
    "kfd class absent",
    "hyhal absent",
    "smi absent",
    "smi fails",
    "smi hangs",
    "old table",
    "kernel-devel absent",
)
KERNEL = "4.19.90-2403.3.0.0270.87.uel20.x86_64"
ADDRESSES = (
    *("0000:07:00.0", "0000:0a:00.0", "0000:0f:00.0", "0000:16:00.0"),
    *("0000:1d:00.0", "0000:20:00.0", "0000:25:00.0", "0000:2c:00.0"),
)
# temperature, average power: the field report's figures
CARDS = (
    *((59.0, 114.0), (61.0, 109.0), (60.0, 106.0), (59.0, 107.0)),
    *((60.0, 118.0), (62.0, 113.0), (58.0, 106.0), (58.0, 115.0)),
)
MODULES_63 = """\
hycu 3371008 2 - Live 0x0000000000000000 (OE)
hydrm_ttm_helper 16384 1 hycu, Live 0x0000000000000000 (OE)
hycu_sched 45056 1 hycu, Live 0x0000000000000000 (OE)
hyttm 86016 2 hycu,hydrm_ttm_helper, Live 0x0000000000000000 (OE)
hykcl 40960 5 hycu,hycu_sched,hyttm, Live 0x0000000000000000 (OE)
drm 585728 11 hycu,hykcl,hyttm, Live 0x0000000000000000
"""
MODULES_62 = """\
hydcu 1435342 0 - Live 0x0000000000000000 (OE)
hydcu_sched 34432 1 hydcu, Live 0x0000000000000000 (OE)
hyttm 61919 1 hydcu, Live 0x0000000000000000 (OE)
hykcl 46567 3 hydcu_sched,hydcu,hyttm, Live 0x0000000000000000 (OE)
"""
MODULES_NONE = "drm 585728 0 - Live 0x0000000000000000\next4 811008 1 - Live 0x0000000000000000\n"
CPUINFO = """\
processor\t: {index}
vendor_id\t: HygonGenuine
model name\t: Hygon C86 7490 64-core Processor
flags\t\t: fpu sse sse2 ssse3 fma sse4_1 sse4_2 avx f16c avx2 bmi1 bmi2

"""
LINE = "=" * 96
END = " End of SMI Log ".center(96, "=")
TITLE = " System Management Interface ".center(96, "=")


def _framed(lines: Collection[str]) -> str:
    return "\n".join(["", TITLE, LINE, *lines, LINE, END, ""])


def hy_smi_table(cards: int = 8, *, old: bool = False, hot: int | None = None) -> str:
    """hy-smi's default table: new ('HCU'), or old ('DCU', whole percents)."""
    name, load = ("DCU", "0%") if old else ("HCU", "0.0%")
    rows = [f"{name}     Temp     AvgPwr     Perf     PwrCap     VRAM%      {name}%      Mode     "]
    for index, (usual, power) in enumerate(CARDS[:cards]):
        heat = 108.0 if index == hot else usual
        rows.append(
            f"{index}       {heat}C    {power}W     auto     400.0W     0%         {load}      "
            "Normal   "
        )
    return _framed(rows)


def hy_smi_memory(cards: int = 8) -> str:
    """hy-smi --showmemavailable."""
    return _framed([f"HCU[{i}]\t\t: Available memory size (MiB): 65438" for i in range(cards)])


def hy_smi_json(cards: int = 8, *, series: str = "K100_AI") -> str:
    """hy-smi --json with what it is known to put around the JSON: a warning, an empty key."""
    body = ", ".join(
        f'"card{i}": {{"Device ID": "0x6210", "Card Series": "{series}", '
        '"Card Vendor": "Chengdu C-3000 IC Design Co., Ltd.", "": "", "HCU use (%)": "0.0", '
        '"vram Total Memory (MiB)": "65520", "vram Total Used Memory (MiB)": "2"}'
        for i in range(cards)
    )
    return f"Warning: some sensors need root\n{{{body}}}\nError: hwmon of card0 is not readable\n"


def _script(outputs: dict[str, str], tail: str = "") -> str:
    cases = "".join(
        f"*{pattern}*) cat <<'TEXT'\n{text}\nTEXT\n;;\n" for pattern, text in outputs.items()
    )
    return f'#!/bin/sh\n{tail}case " $* " in\n{cases}esac\n'


def write(root: Path, path: str, text: str = "", mode: int = 0o644) -> None:
    """A file below the root, with its folders."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


def build(root: Path, faults: Collection[str] = (), *, cards: int = 8) -> Path:
    """Make the host root below `root`; faults: names in FAULTS. Returns the root."""
    unknown = set(faults) - set(FAULTS)
    if unknown:
        raise ValueError(f"no such fault: {sorted(unknown)}")

    put = partial(write, root)
    gone = "driver missing" in faults
    old_line = "old driver" in faults or "old driver line" in faults
    module = "hydcu" if old_line else "hycu"
    put("proc/modules", MODULES_NONE if gone else MODULES_62 if old_line else MODULES_63)
    put("proc/cpuinfo", "".join(CPUINFO.format(index=i) for i in range(4)))
    put("proc/meminfo", "MemTotal:       527975184 kB\nMemAvailable:   498000000 kB\n")
    put("proc/sys/kernel/osrelease", KERNEL + "\n")
    version = "5.16.29" if "old driver" in faults else "6.2.26" if old_line else "6.3.8-V1.9.2"
    if not gone:
        (root / "sys/module" / module).mkdir(parents=True, exist_ok=True)
        if "version file absent" not in faults:
            put(f"sys/module/{module}/version", version + "\n")
        if "kfd class absent" not in faults:
            (root / "sys/class/kfd").mkdir(parents=True, exist_ok=True)
    for address in ADDRESSES[:cards]:
        place = f"sys/bus/pci/devices/{address}"
        put(f"{place}/vendor", "0x1d94\n")
        put(f"{place}/device", "0x6210\n")
        put(f"{place}/class", "0x0b4000\n")
        bound = root / place / "driver"
        bound.unlink(missing_ok=True)
        if not gone:
            bound.symlink_to(f"../../../../bus/pci/drivers/{module}")
    # a Hygon CPU's own function, which is no card
    for name, value in (("vendor", "0x1d94"), ("device", "0x1450"), ("class", "0x060000")):
        put(f"sys/bus/pci/devices/0000:00:00.0/{name}", value + "\n")
    (root / "dev/dri").mkdir(parents=True, exist_ok=True)
    if not gone:
        put("dev/kfd")
        if "mkfd absent" not in faults:
            put("dev/mkfd")
        for index in range(cards):
            put(f"dev/dri/card{index + 1}")
            put(f"dev/dri/renderD{128 + index}")
    if "kernel-devel absent" not in faults:
        (root / f"lib/modules/{KERNEL}").mkdir(parents=True, exist_ok=True)
        (root / f"usr/src/kernels/{KERNEL}").mkdir(parents=True, exist_ok=True)
        build_link = root / f"lib/modules/{KERNEL}/build"
        if not build_link.is_symlink():
            build_link.symlink_to(f"/usr/src/kernels/{KERNEL}")
    if "hyhal absent" not in faults:
        _hyhal(root, faults, cards, gone, version)
    (root / "sys/kernel/debug").mkdir(parents=True, exist_ok=True)
    (root / "var/lib").mkdir(parents=True, exist_ok=True)
    return root


def _hyhal(root: Path, faults: Collection[str], cards: int, gone: bool, version: str) -> None:
    """/opt/hyhal is a link to /usr/local/hyhal, as the newer driver packages make it."""
    home = root / "usr/local/hyhal"
    (home / "bin").mkdir(parents=True, exist_ok=True)
    (home / "lib").mkdir(exist_ok=True)
    (root / "opt").mkdir(exist_ok=True)
    if not (root / "opt/hyhal").is_symlink():
        (root / "opt/hyhal").symlink_to("/usr/local/hyhal")
    if "smi absent" in faults:
        return
    seen = cards - 1 if "card lost" in faults else cards
    if gone or {"smi fails", "old driver"} & set(faults):
        text = "#!/bin/sh\necho 'Error: lspci not found' >&2\nexit 1\n"
    else:
        text = _script(
            {
                "--showdriverversion": f"Driver Version: {version}",
                "--showmemavailable": hy_smi_memory(seen),
                "--json": hy_smi_json(seen),
                "": hy_smi_table(
                    seen, old="old table" in faults, hot=0 if "card hot" in faults else None
                ),
            },
            "sleep 600\n" if "smi hangs" in faults else "",
        )
        if "version file absent" in faults:
            text = text.replace(f"Driver Version: {version}", "Driver Version: N/A")
    script = home / "bin/hy-smi"
    script.write_text(text)
    script.chmod(0o755)
