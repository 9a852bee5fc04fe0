"""The probe against folders that look like hosts, and its verdict: the fake K100_AI host passes,
each of its faults is refused with its own code."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.accelerators.profiles import PROFILES, profile
from tasks.base.errors import OutsideError
from tasks.nodes.assess import api_facts, judge_node
from tasks.nodes.document import ProbeDoc, last_document
from tasks.programs import probe
from tasks.render.devices import probe_mounts
from tests.support import hostroot
from tests.support.nodedata import load, make_spec

STORE = "/var/lib/model-rollout/models"
HYGON = profile("hygon-dcu")


def look(root: Path, name: str = "hygon-dcu", timeout_s: float = 60) -> ProbeDoc:
    raw = probe.look(
        profile(name), probe.Host(root), STORE, plain_devices=True, smi_timeout_s=timeout_s
    )
    return ProbeDoc.from_json(json.loads(json.dumps(raw)))


def judged(doc: ProbeDoc) -> tuple[set[str], set[str]]:
    data = load("hygon-dcu")
    api = api_facts(data["base"]["node"], data["base"]["pods"])
    verdict = judge_node(make_spec(data["spec"]), HYGON, api, doc, 0)
    return (
        {r.code for r in verdict.reasons if r.severity == "error"},
        {r.code for r in verdict.reasons if r.severity == "warning"},
    )


EXPECTED: dict[str, tuple[set[str], set[str]]] = {
    "driver missing": (
        {"DRIVER_MISSING", "DEVICE_FILE_MISSING", "HOST_PATH_MISSING"},
        {"SMI_FAILED"},
    ),
    "old driver": ({"DRIVER_TOO_OLD"}, {"DRIVER_TOOLKIT_MISMATCH", "SMI_FAILED"}),
    "old driver line": (set(), {"COMPATIBILITY_DISPUTED"}),
    "version file absent": (set(), {"DRIVER_VERSION_UNKNOWN"}),
    "card lost": ({"CARD_LOST"}, set()),
    "card hot": ({"CARD_UNHEALTHY"}, set()),
    "mkfd absent": ({"DEVICE_FILE_MISSING"}, set()),
    "kfd class absent": ({"HOST_PATH_MISSING"}, set()),
    "hyhal absent": ({"HOST_PATH_MISSING"}, {"SMI_FAILED"}),
    "smi absent": (set(), {"SMI_FAILED"}),
    "smi fails": (set(), {"SMI_FAILED"}),
    "smi hangs": (set(), {"SMI_FAILED"}),
    "old table": (set(), set()),
    "kernel-devel absent": (set(), {"KERNEL_DEVEL_MISSING"}),
}


def test_healthy_host_passes(tmp_path: Path) -> None:
    doc = look(hostroot.build(tmp_path))
    assert judged(doc) == (set(), set())
    assert doc.kernel.release == hostroot.KERNEL
    assert doc.kernel.devel is not None  # its link starts at the host's root, not at ours
    assert doc.modules == {"hycu": "6.3.8-V1.9.2"}
    assert len(doc.pci) == 8, "the CPU's function of the same vendor is no card"
    assert doc.smi.path == str(tmp_path / "usr/local/hyhal/bin/hy-smi")


@pytest.mark.parametrize("fault", hostroot.FAULTS)
def test_each_fault_of_a_host_has_its_code(tmp_path: Path, fault: str) -> None:
    timeout = 0.2 if fault == "smi hangs" else 60
    assert judged(look(hostroot.build(tmp_path, [fault]), timeout_s=timeout)) == EXPECTED[fault]


def test_plain_files_are_no_devices_unless_allowed(tmp_path: Path) -> None:
    raw = probe.look(HYGON, probe.Host(hostroot.build(tmp_path)), STORE)
    assert raw["devices"]["/dev/kfd"] == {"kind": "file"}
    errors, _ = judged(ProbeDoc.from_json(raw))
    assert errors == {"DEVICE_FILE_MISSING"}


def test_a_plain_file_never_stands_for_a_folder_of_devices(tmp_path: Path) -> None:
    root = hostroot.build(tmp_path)
    shutil.rmtree(root / "dev/dri")
    (root / "dev/dri").touch()
    errors, _ = judged(look(root))
    assert errors == {"DEVICE_FILE_MISSING"}


def test_real_character_device_is_told_from_a_file() -> None:
    found = probe.device(probe.Host(Path("/")), "/dev/null", "")
    assert found == {"kind": "char"}


def test_an_empty_root_is_facts_not_a_crash(tmp_path: Path) -> None:
    for name in PROFILES:
        raw = probe.look(profile(name), probe.Host(tmp_path), STORE)
        doc = ProbeDoc.from_json(raw)
        assert doc.profile == name
        if doc.profile != "cpu":
            assert not doc.smi.runs or name == "nvidia-gpu"
    assert "pci" in look(tmp_path).errors


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    host = probe.Host(tmp_path)
    (tmp_path / "usr/real").mkdir(parents=True)
    (tmp_path / "usr/real/file").write_text("in")
    (tmp_path / "abs").symlink_to("/usr/real")
    (tmp_path / "rel").symlink_to("usr/../usr/real")
    (tmp_path / "loop").symlink_to("/loop")
    assert host.text("/abs/file") == host.text("/rel/file") == "in"
    assert host.path("/../../abs/file") == tmp_path / "usr/real/file"
    with pytest.raises(OSError):
        host.text("/loop")


def test_a_host_mounted_piece_by_piece_reads_the_same(tmp_path: Path) -> None:
    """A mount may be a link to where the folder really is, as in the embedded cluster."""
    real, seen = hostroot.build(tmp_path / "real"), tmp_path / "host"
    volumes, _ = probe_mounts(HYGON, STORE)
    for volume in volumes:
        path = volume["hostPath"]["path"].lstrip("/")
        (seen / path).parent.mkdir(parents=True, exist_ok=True)
        (real / path).mkdir(parents=True, exist_ok=True)
        (seen / path).symlink_to(real / path)
    whole, pieces = look(real), look(seen)
    assert judged(pieces) == (set(), set())
    assert replace(pieces, smi=whole.smi, store=whole.store) == whole
    assert [r.stdout for r in pieces.smi.runs] == [r.stdout for r in whole.smi.runs]


def test_store_lists_commits_and_staged_bytes(tmp_path: Path) -> None:
    store = tmp_path / STORE.lstrip("/")
    (store / "owner/name/abc123").mkdir(parents=True)
    (store / "owner/empty").mkdir()
    (store / ".trash/x").mkdir(parents=True)
    staged = store / ".staging/owner--name--def456/files"
    staged.mkdir(parents=True)
    (staged / "a.safetensors").write_bytes(b"x" * 10_000)
    with (staged / "b.incomplete").open("wb") as sparse:
        sparse.truncate(50_000_000)  # preallocated, nothing fetched yet
    facts = probe.store(probe.Host(tmp_path), STORE, measure=False)
    assert facts["published"] == {"owner/name": ["abc123"]}
    assert list(facts["staged"]) == ["owner--name--def456"]
    assert 10_000 <= facts["staged"]["owner--name--def456"] < 20_000
    assert facts["exists"] and facts["free_bytes"] > 0


def test_store_that_does_not_exist_has_its_parents_space(tmp_path: Path) -> None:
    (tmp_path / "var/lib").mkdir(parents=True)
    facts = probe.store(probe.Host(tmp_path), STORE, measure=True)
    assert not facts["exists"] and facts["total_bytes"] > 0 and facts["write_bytes_per_s"] is None
    assert not (tmp_path / STORE.lstrip("/")).exists(), "a probe creates nothing"


def test_write_rate_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "WRITE_BYTES", 2 * probe.BLOCK)
    assert probe.write_rate(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_hanging_tool_and_its_children_end(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\necho started\nsleep 600 &\nwait\n")
    script.chmod(0o755)
    ran = probe.run_tool([str(script)], {"PATH": "/usr/bin:/bin"}, 0.3)
    assert ran["error"] == "no end after 0.3 s" and ran["stdout"] == "started\n"


def test_versions_of_the_nvidia_driver(tmp_path: Path) -> None:
    place = tmp_path / "proc/driver/nvidia/version"
    place.parent.mkdir(parents=True)
    nvidia = profile("nvidia-gpu")
    for text, version in (
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n", "550.54.15"),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release\n",
            "570.86.15",
        ),
    ):
        place.write_text(text)
        found = probe.versions(probe.Host(tmp_path), nvidia)
        assert found == {"/proc/driver/nvidia/version": version}


def test_command_prints_one_document_last(tmp_path: Path) -> None:
    root = hostroot.build(tmp_path)
    command = [sys.executable, "-m", "flows.cli", "job", "probe", "--profile=hygon-dcu"]
    run = subprocess.run(
        [*command, f"--root={root}", f"--store={STORE}"],
        capture_output=True,
        text=True,
        check=True,
        env={"MODEL_ROLLOUT_PLAIN_DEVICES": "1", "PATH": "/usr/bin:/bin"},
        cwd=Path(probe.__file__).parents[2],
    )
    doc = ProbeDoc.from_json(json.loads(last_document("some warning\n" + run.stdout)))
    assert doc.allow_plain_devices
    assert judged(doc) == (set(), set())


def test_probe_needs_only_the_standard_library() -> None:
    code = (
        "import sys, tasks.programs.probe; "
        "print([m for m in ('pydantic', 'yaml') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(probe.__file__).parents[2],
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty log"),
        ("Traceback\nModuleNotFoundError: no tasks\n", "ModuleNotFoundError"),
    ],
)
def test_log_without_a_document(text: str, words: str) -> None:
    with pytest.raises(OutsideError, match=words):
        last_document(text)


@pytest.mark.parametrize(
    "data", [{}, {"schema": 2}, {"schema": 1}, {"schema": 1, "profile": "x", "pci": [{}]}]
)
def test_unreadable_documents_say_so(data: dict[str, object]) -> None:
    with pytest.raises(OutsideError, match="schema"):
        ProbeDoc.from_json(data)


def test_exporter_is_read_where_the_probe_runs(tmp_path: Path) -> None:
    lines = 'dcu_temp{minor_number="0"} 46\ndcu_temp{minor_number="1"} 104\n'
    answer = f"# HELP dcu_temp x\n{lines}dcu_power_usage 9\ndcu_temperature_of_case 99\n".encode()

    class Exporter(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Exporter) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        raw = probe.look(
            HYGON,
            probe.Host(hostroot.build(tmp_path)),
            STORE,
            metrics_url=url,
            plain_devices=True,
        )
    assert raw["metrics"] == lines.strip()
    assert judged(ProbeDoc.from_json(raw)) == ({"CARD_UNHEALTHY"}, set())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/metrics", "file:///etc/passwd"])
def test_an_exporter_that_does_not_answer_is_a_warning(tmp_path: Path, url: str) -> None:
    host = probe.Host(hostroot.build(tmp_path))
    raw = probe.look(HYGON, host, STORE, metrics_url=url, plain_devices=True)
    assert judged(ProbeDoc.from_json(raw)) == (set(), {"FACT_UNKNOWN"})


def test_a_tool_that_prints_more_than_is_kept_says_so(tmp_path: Path) -> None:
    long = "x" * (probe.OUTPUT_LIMIT + 1)
    (tmp_path / "big").write_text(long)
    script = f"#!/bin/sh\ncat {tmp_path}/big\n"
    hostroot.write(tmp_path, "tool", script, 0o755)
    told = probe.run_tool([str(tmp_path / "tool")], dict(os.environ), 60)
    assert (len(told["stdout"]), told["cut"], told["status"]) == (probe.OUTPUT_LIMIT, True, 0)
    hostroot.write(tmp_path, "tool", "#!/bin/sh\necho short\n", 0o755)
    assert "cut" not in probe.run_tool([str(tmp_path / "tool")], dict(os.environ), 60)


def test_a_tool_of_which_every_run_fails_gives_way_to_the_next(tmp_path: Path) -> None:
    host, amd = probe.Host(tmp_path), profile("amd-gpu")
    hostroot.write(tmp_path, "opt/rocm/bin/amd-smi", "#!/bin/sh\necho no >&2\nexit 3\n", 0o755)
    alone = probe.smi(host, amd, 60)
    assert alone["name"] == "amd-smi" and {run["status"] for run in alone["runs"]} == {3}
    hostroot.write(tmp_path, "usr/bin/rocm-smi", "#!/bin/sh\necho '{}'\n", 0o755)
    assert probe.smi(host, amd, 60)["name"] == "rocm-smi"


def test_cards_of_a_maker_with_two_vendor_ids(tmp_path: Path) -> None:
    """Kunlunxin's P800 prints vendor 2057, older cards 1d22; network cards are none."""
    cards = {"01": ("1d22", "3684", "078000"), "02": ("2057", "3686", "120000")}
    for at, ids in {**cards, "03": ("1d22", "1000", "020000")}.items():
        for name, value in zip(("vendor", "device", "class"), ids, strict=True):
            hostroot.write(tmp_path, f"sys/bus/pci/devices/0000:{at}:00.0/{name}", f"0x{value}\n")
    found = probe.pci(probe.Host(tmp_path), profile("kunlunxin-xpu"))
    assert [row["vendor"] for row in found] == ["1d22", "2057"]


@pytest.mark.parametrize("place", ["sys/module/amdgpu", "sys/bus/pci/drivers/amdgpu"])
def test_a_driver_in_the_kernel_needs_no_version(tmp_path: Path, place: str) -> None:
    """amdgpu built into the kernel has no line in /proc/modules and tells no version."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/modules").write_text("")
    row = PROFILES["amd-gpu"]
    assert probe.modules(probe.Host(tmp_path), row) == {}
    (tmp_path / place).mkdir(parents=True)
    assert probe.modules(probe.Host(tmp_path), row) == {"amdgpu": {"version": None}}


def test_the_driver_that_has_a_card_is_told(tmp_path: Path) -> None:
    """As sysfs has it: the device is a link, and so is its driver."""
    root = hostroot.build(tmp_path, cards=3)
    bus = root / "sys/bus/pci/devices"
    real = root / "sys/devices/pci0000:00"
    real.mkdir(parents=True)
    for address, driver in zip(hostroot.ADDRESSES, ("hycu", "vfio-pci", ""), strict=False):
        (bus / address).rename(real / address)
        (bus / address).symlink_to(f"../../../devices/pci0000:00/{address}")
        (real / address / "driver").unlink()
        if driver:
            (real / address / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    doc = look(root)
    assert [(item.address, item.driver) for item in doc.pci] == [
        (hostroot.ADDRESSES[0], "hycu"),
        (hostroot.ADDRESSES[2], ""),
    ]
    assert [item.address for item in doc.passed] == [hostroot.ADDRESSES[1]]


@pytest.mark.parametrize(
    ("driver", "passed"),
    [
        ("vfio-pci", True),
        ("nvgrace-gpu-vfio-pci", True),
        ("nvidia-vgpu-vfio", True),
        ("pci-stub", True),
        ("pciback", True),
        ("xen-pciback", True),
        ("nvidia", False),
        ("amdgpu", False),
        ("", False),
        (None, False),
    ],
)
def test_drivers_that_keep_a_card_for_virtual_machines(driver: str | None, passed: bool) -> None:
    row = {"address": "0000:01:00.0", "vendor": "10de", "device": "2330", "class": "030200"}
    told = {} if driver is None else {"driver": driver}
    doc = ProbeDoc.from_json({"schema": 1, "profile": "nvidia-gpu", "pci": [{**row, **told}]})
    assert (len(doc.pci), len(doc.passed)) == ((0, 1) if passed else (1, 0))
