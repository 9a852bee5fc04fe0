"""How hot a card may be: the tool's own limits, then the sensor's, then the vendor's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.metrics import metrics_reasons
from tasks.nodes.reasons import Reason

Told = Callable[..., list[Reason]]
STATIC = ("static", "--asic", "--bus", "--driver", "--vram", "--json")
LIMIT = ("static", "--limit", "--json")
METRIC = ("metric", "--temperature", "--power", "--ecc", "--mem-usage", "--json")


def celsius(**cells: int | None) -> dict[str, Any]:
    return {k: "N/A" if v is None else {"value": v, "unit": "C"} for k, v in cells.items()}


def amd(heat: dict[str, Any], limit: dict[str, Any] | None) -> list[tuple[Any, ...]]:
    """limit: None where the tool has no --limit."""
    vram = {"vram": {"size": {"value": 32624, "unit": "MB"}}}
    runs: list[tuple[Any, ...]] = [
        (STATIC, json.dumps([{"gpu": 0, "asic": {"market_name": "AMD Radeon"}, **vram}])),
        (METRIC, json.dumps({"gpu_data": [{"gpu": 0, "temperature": heat}]})),
    ]
    if limit is None:
        return [*runs, (LIMIT, "amd-smi: error: unrecognized arguments: --limit", 2)]
    return [*runs, (LIMIT, json.dumps([{"gpu": 0, "limit": limit}]))]


# amd-smi static --limit of a Radeon AI PRO R9700 (its hotspot's limits alone), an MI300A and an
# MI210 (ROCm/amdsmi's documentation and CHANGELOG have the form)
R9700 = celsius(slowdown_hotspot_temperature=110, shutdown_hotspot_temperature=115)
MI300A = celsius(
    slowdown_edge_temperature=None,
    slowdown_hotspot_temperature=100,
    slowdown_vram_temperature=105,
    shutdown_hotspot_temperature=110,
)
MI210 = celsius(
    slowdown_edge_temperature=99, slowdown_hotspot_temperature=100, slowdown_vram_temperature=94
)
HOST = celsius(slowdown_mem_temperature=94)  # a hypervisor's tool says mem


@pytest.mark.parametrize(
    ("heat", "limit", "found"),
    [
        (celsius(edge=78, hotspot=103, mem=94), R9700, []),
        (celsius(edge=78, hotspot=111, mem=94), R9700, ["111 degrees Celsius (hotspot)"]),
        (celsius(edge=None, hotspot=101, mem=90), MI300A, ["101 degrees Celsius (hotspot)"]),
        (celsius(edge=None, hotspot=95, mem=103), MI300A, []),
        (celsius(edge=60, hotspot=70, mem=96), MI210, ["96 degrees Celsius (mem)"]),
        (celsius(edge=60, hotspot=70, mem=96), HOST, ["96 degrees Celsius (mem)"]),
        # a guest's tool knows no --limit: the sensors' own
        (celsius(edge=78, hotspot=103, mem=94), None, []),
        (celsius(edge=112, hotspot=105, mem=94), None, ["112 degrees Celsius (edge)"]),
    ],
)
def test_amds_limits(
    told: Told, heat: dict[str, Any], limit: dict[str, Any] | None, found: list[str]
) -> None:
    reasons = told("amd-gpu", amd(heat, limit), on_bus=1)
    assert [(r.code, r.found) for r in reasons] == [
        ("CARD_UNHEALTHY", f"card 0: {words}") for words in found
    ]


@pytest.mark.parametrize(
    ("junction", "codes"), [("103.0", []), ("110.0", []), ("112.0", ["CARD_UNHEALTHY"])]
)
def test_rocm_smi_tells_sensors(told: Told, junction: str, codes: list[str]) -> None:
    """crit 110 of an RX 7900 XT's junction: ilya-zlobintsev/LACT#563."""
    card = {
        "Temperature (Sensor edge) (C)": "78.0",
        "Temperature (Sensor junction) (C)": junction,
        "Temperature (Sensor memory) (C)": "94.0",
        "Card Series": "Radeon RX 7900 XT",
        "VRAM Total Memory (B)": "21458059264",
    }
    runs = [(("--json",), json.dumps({"card0": card}))]
    reasons = told("amd-gpu", runs, on_bus=1, tool="rocm-smi")
    assert [reason.code for reason in reasons] == codes


def test_another_vendors_card_has_one_limit(told: Told) -> None:
    """hy-smi's keys are rocm-smi's; constructed."""
    card = {"Temperature (Sensor junction) (C)": "96.0", "Card Series": "K100_AI"}
    reasons = told("hygon-dcu", [(("--json",), json.dumps({"card0": card}))], on_bus=1)
    assert [r.code for r in reasons if r.severity == "error"] == ["CARD_UNHEALTHY"]


@pytest.mark.parametrize(
    ("sensor", "value", "hot"), [("junction", 104, 0), ("junction", 111, 1), ("edge", 110, 1)]
)
def test_the_exporters_sensor_counts(sensor: str, value: int, hot: int) -> None:
    """ROCm/device-metrics-exporter's metric names."""
    text = f'gpu_{sensor}_temperature{{gpu_id="0"}} {value}\n'
    assert len(metrics_reasons(text, profile("amd-gpu"))) == hot


@pytest.mark.parametrize(
    ("missing", "offered", "severity"), [(0, 1, "error"), (1, 1, "warning"), (1, 2, "error")]
)
def test_a_sick_card_may_be_lacked(told: Told, missing: int, offered: int, severity: str) -> None:
    """nodes.missing_cards, once the plugin offers the card no more; constructed."""
    row = "{}, NVIDIA A100-SXM4-80GB, 81920 MiB, 4 MiB, 40, 60 W, 580.95.05, {}, 0000:0{}:00.0\n"
    head = (
        "index, name, memory.total [MiB], memory.used [MiB], temperature.gpu, power.draw [W], "
        "driver_version, ecc.errors.uncorrected.volatile.total, pci.bus_id\n"
    )
    text = head + row.format(0, 0, 1) + row.format(1, 3, 2)
    reasons = told(
        "nvidia-gpu",
        [(("--format=csv",), text)],
        on_bus=2,
        offered=offered,
        nodes={"missing_cards": missing},
    )
    assert (severity, "card 1: 3 uncorrectable memory errors") in [
        (reason.severity, reason.found) for reason in reasons
    ]


@pytest.mark.parametrize(
    ("heat", "power", "severity", "found"),
    [
        ("40", "[Unknown Error]", "warning", "Unknown Error in some cells, and others tell"),
        ("[Unknown Error]", "60 W", "warning", "Unknown Error in some cells, and others tell"),
        ("[Unknown Error]", "[Unknown Error]", "error", "health Unknown Error"),
        ("[GPU is lost]", "60 W", "error", "health GPU is lost"),
    ],
)
def test_a_cell_that_was_not_read_condemns_no_card(
    told: Told, heat: str, power: str, severity: str, found: str
) -> None:
    """Azure/azhpc-diagnostics#77: a V100 whose power alone cannot be read, and passes; its words in
    the CSV form. One that has lost its driver tells neither heat nor power."""
    text = (
        "index, name, memory.total [MiB], memory.used [MiB], temperature.gpu, power.draw [W], "
        "driver_version, ecc.errors.uncorrected.volatile.total, pci.bus_id\n"
        f"0, Tesla V100-SXM2-32GB, 32768 MiB, 4 MiB, {heat}, {power}, 580.95.05, 0, 0000:01:00.0\n"
    )
    reasons = told("nvidia-gpu", [(("--format=csv",), text)], on_bus=1)
    assert [(r.severity, r.found) for r in reasons if r.code == "CARD_UNHEALTHY"] == [
        (severity, f"card 0: {found}")
    ]


@pytest.mark.parametrize(
    ("celsius", "reason"),
    [("2112", "FACT_UNKNOWN"), ("65535", "FACT_UNKNOWN"), ("130", "CARD_UNHEALTHY")],
)
def test_what_no_chip_survives_was_read_wrong(told: Told, celsius: str, reason: str) -> None:
    """ROCm/rocm-systems pull 6931: the memory sensor of a good MI350X; 65535: constructed."""
    card = {"Temperature (Sensor memory) (C)": celsius, "Card Series": "AMD Instinct MI350X"}
    card |= {"VRAM Total Memory (B)": "309220868096", "VRAM Total Used Memory (B)": "298844160"}
    runs = [(("--json",), json.dumps({"card0": card}))]
    reasons = told("amd-gpu", runs, on_bus=1, tool="rocm-smi")
    about = [r for r in reasons if "degrees" in r.found]
    assert [r.code for r in about] == [reason]
    metric = f'gpu_junction_temperature{{gpu_id="0"}} {celsius}\n'
    assert len(metrics_reasons(metric, profile("amd-gpu"))) == (reason == "CARD_UNHEALTHY")
