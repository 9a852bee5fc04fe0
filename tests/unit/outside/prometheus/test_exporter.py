"""A scrape over loopback, as a Prometheus server makes it."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tasks.base.errors import OutsideError
from tasks.outside.prometheus.exporter import Rollouts, listening
from tasks.record.outcome import ENDINGS, OF_WHAT_SERVES
from tasks.release.state import Release, State
from tasks.report.gauges import PREFIX, Overseen, families

RELEASE = Release("r", "m-r", "o/m", "master", "c", "s", "i", "m")


def scraped(port: int) -> dict[str, list[tuple[dict[str, str], float]]]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60, trust_env=False).text
    return {
        sample.name: [(s.labels, s.value) for s in family.samples if s.name == sample.name]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_was_seen_last_is_told_though_nobody_can_look() -> None:
    well = [True]

    def look() -> Sequence[Overseen]:
        if not well[0]:
            raise OutsideError("no API server")
        return [Overseen("models", State('m"\n', stable=RELEASE)), Overseen("b", State("n"))]

    rollouts = Rollouts(look)
    with listening(rollouts, "127.0.0.1", 0) as port:
        assert scraped(port)["model_rollout_up"] == [({}, 0.0)]
        rollouts.renew()
        found = scraped(port)
        assert found["model_rollout_up"] == [({}, 1.0)]
        assert [labels["name"] for labels, _ in found["model_rollout_serving_info"]] == ['m"\n']
        assert len(found["model_rollout_finished_total"]) == 2 * (
            len(ENDINGS) - len(OF_WHAT_SERVES)
        )
        of_the_look = ("up", "look_timestamp_seconds", "finished_total")
        known = {PREFIX + name for name in (*of_the_look, *(one.name for one in families([])))}
        assert set(found) <= known
        well[0] = False
        rollouts.renew()
        again = scraped(port)
        assert again["model_rollout_up"] == [({}, 0.0)]
        assert again["model_rollout_phase"] == found["model_rollout_phase"]


def test_a_port_that_is_taken_is_told() -> None:
    with (
        listening(Rollouts(list), "127.0.0.1", 0) as port,
        pytest.raises(OutsideError, match=f"nothing can listen on 127.0.0.1:{port}"),
        listening(Rollouts(list), "127.0.0.1", port),
    ):
        pass
