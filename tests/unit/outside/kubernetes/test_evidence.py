"""What is read of a pod in trouble: whole, once a life, without credentials, kept by name."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.outside.kubernetes.evidence import LOG_BYTES, Evidence
from tasks.outside.kubernetes.logs import Tail
from tasks.outside.kubernetes.rest import Forbidden
from tests.support.cluster.cluster_fake import FakeObjects
from tests.support.cluster.cluster_script import Script, answer, status, stream
from tests.support.cluster.pod_cases import load

POD = "deepseek-32b-4f9c1e-6c7d9f6b5d-x2x7q"


class Kubelet(FakeObjects):
    """Answers for the present and the previous life; what it was asked is noted."""

    def __init__(self, now: str = "", before: str = "") -> None:
        super().__init__()
        self.lives = {False: now, True: before}
        self.asked: list[bool] = []

    def logs(self, pod: str, ns: str, container: str, **kwargs: Any) -> str:
        assert kwargs["most_bytes"] == LOG_BYTES
        self.asked.append(kwargs["previous"])
        return self.lives[kwargs["previous"]]


def evidence(api: FakeObjects) -> Evidence:
    return Evidence(api, "llm")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "now", "before", "file"),
    [
        ("oom-killed", "it", "", f"{POD}-vllm.log"),
        ("crash-once", "", "it", f"{POD}-vllm.log"),  # runs again: the life before
        ("crash-loop", "it", "", f"{POD}-vllm-2.log"),  # the second restart
        ("crash-loop", "", "it", f"{POD}-vllm-2.log"),  # 400: only the previous one is known
        ("init-crash-loop", "it", "", f"{POD}-verify-2.log"),
    ],
)
def test_the_life_that_failed_is_kept_under_its_number(
    case: str, now: str, before: str, file: str
) -> None:
    api = Kubelet(now, before)
    told = evidence(api)
    pod = load(case)["pod"]
    assert told.logs(pod) == "it"
    assert told.kept == {file: "it"}
    asked = len(api.asked)
    assert told.logs(pod) == "it" and len(api.asked) == asked  # a life that ended is read once


def test_what_never_ran_has_no_log() -> None:
    api = Kubelet("words of another")
    told = evidence(api)
    assert told.logs(load("image-not-found")["pod"]) == "" and told.kept == {}


def test_a_running_container_is_read_on_demand_and_again() -> None:
    api = Kubelet("loading 1")
    told, pod = evidence(api), load("starting")["pod"]
    assert told.logs(pod) == ""
    assert told.logs(pod, crashed_only=False) == "loading 1"
    api.lives[False] = "loading 2"
    assert told.logs(pod, crashed_only=False) == "loading 2"
    assert told.kept == {f"{POD}-vllm.log": "loading 2"}


def test_credentials_are_taken_out_as_it_is_read() -> None:
    told = evidence(Kubelet("--api-key sesame --port 8000"))
    told.logs(load("oom-killed")["pod"])
    assert list(told.kept.values()) == ["--api-key *** --port 8000"]


def test_a_missing_right_hides_nothing_else() -> None:
    class Closed(FakeObjects):
        def logs(self, pod: str, ns: str, container: str, **kwargs: Any) -> str:
            raise Forbidden("no", 403)

        def list(self, kind: str, ns: str | None = None, *args: Any, **kwargs: Any) -> Any:
            raise Forbidden("no", 403)

    told, pod = evidence(Closed()), load("oom-killed")["pod"]
    assert told.logs(pod) == "" and told.events(pod) == [] and told.kept == {}


# -- reading


def test_a_long_log_is_read_to_its_end_and_its_beginning_left_out() -> None:
    lines = [f"line {number:04d}" for number in range(1000)]
    data = "".join(f"{line}\n" for line in lines).encode()
    script = Script([stream(data[:3333], data[3333:7777], data[7777:])])
    text = script.api().logs("p", "n", "c", previous=True, most_bytes=2000)
    first, *rest = text.splitlines()
    assert first == "[the first 8,000 bytes of this log were not kept]"
    assert rest == lines[800:]
    assert script.asked[0].query == {"container": "c", "previous": "true"}


def test_a_short_log_is_whole_and_a_broken_one_as_far_as_it_came() -> None:
    api = Script([stream(b"one\ntwo\n"), stream(b"one\n", ConnectionResetError(104, "x"))]).api()
    assert api.logs("p", "n", "c", most_bytes=2000) == "one\ntwo\n"
    assert api.logs("p", "n", "c", most_bytes=2000) == "one\n"


@pytest.mark.parametrize("most", [None, 2000])
def test_what_a_kubelet_says_in_place_of_a_log_is_none(most: int | None) -> None:
    gone = b"unable to retrieve container logs for containerd://000bff05adb2"
    waiting = 'container "c" in pod "p" is waiting to start: ContainerCreating'
    api = Script([answer(gone), status(400, "BadRequest", waiting), status(404)]).api()
    assert [api.logs("p", "n", "c", most_bytes=most) for _ in range(3)] == ["", "", ""]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_the_end_of_what_comes_in_pieces(size: int) -> None:
    data = bytes(range(48, 100))
    end = Tail(20)
    for start in range(0, len(data), size):
        end.add(data[start : start + size])
    assert end.text() == f"[the first 32 bytes of this log were not kept]\n{data[-20:].decode()}"
