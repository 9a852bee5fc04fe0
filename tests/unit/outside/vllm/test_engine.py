"""A release is asked: which models it serves, and whether it really answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tasks.base.errors import OutsideError
from tasks.outside.vllm import engine as module
from tasks.outside.vllm.engine import Answered, Engine, SmokeCheck, smoke
from tasks.spec.rollout import SmokePrompt

pytestmark = pytest.mark.usefixtures("time")
Answering = Callable[[httpx.Request], httpx.Response]
Serve = Callable[[Answering], Engine]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """An Engine whose address is answered by a function."""
    real, made = httpx.Client, []

    def start(answer: Answering) -> Engine:
        def client(**options: Any) -> httpx.Client:
            assert options["trust_env"] is False
            return real(transport=httpx.MockTransport(answer), **options)

        monkeypatch.setattr(module.httpx, "Client", client)
        made.append(Engine("http://pod:8000/", api_key="sesame"))
        return made[-1]

    yield start
    for engine in made:
        engine.__exit__()


def listed(*names: str) -> httpx.Response:
    return httpx.Response(200, json={"data": [{"id": name} for name in names]})


def streamed(*events: Any) -> httpx.Response:
    lines = [event if isinstance(event, str) else f"data: {json.dumps(event)}" for event in events]
    return httpx.Response(200, text="\n\n".join(lines) + "\n\n")


def words(*texts: str, name: str = "content") -> list[Any]:
    return [{"choices": [{"delta": {name: text}}]} for text in texts]


USAGE = {"choices": [], "usage": {"completion_tokens": 3}}


def test_the_models_it_serves(serve: Serve) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return listed("m", "m-lora")

    assert serve(answer).models() == ["m", "m-lora"]
    (request,) = asked
    assert str(request.url) == "http://pod:8000/v1/models"
    assert request.headers["authorization"] == "Bearer sesame"


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_an_error_it_answers_itself_is_told_apart(status: int, serve: Serve) -> None:
    with pytest.raises(Answered) as caught:
        serve(lambda _: httpx.Response(status, text="no\nworker")).models()
    said = f"did not answer /v1/models after 0.0 s (HTTP {status}: no worker); see its"
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("no route to host"),
        httpx.ReadTimeout("timed out"),
        httpx.Response(200, text="<html>a proxy's page</html>"),
        httpx.Response(200, json={"object": "list"}),
        httpx.Response(200, json={"data": [{"name": "m"}]}),
        httpx.Response(200, json=[1]),
    ],
    ids=repr,
)
def test_what_is_no_answer_of_an_engine_says_nothing_of_it(
    answer: httpx.Response | Exception, serve: Serve
) -> None:
    def give(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(OutsideError) as caught:
        serve(give).models()
    assert type(caught.value) is OutsideError
    assert "see its pod's log" in str(caught.value)


@pytest.mark.parametrize(
    ("events", "text", "chunks", "tokens"),
    [
        ([*words("The ", "capital"), USAGE, "data: [DONE]"], "The capital", 2, 3),
        # thought counts as text, a role without text does not
        ([*words("", "hm ", name="reasoning_content"), *words("Paris")], "hm Paris", 2, None),
        ([": a comment", "event: x", *words("a"), "data: [DONE]", *words("late")], "a", 1, None),
        ([{"choices": [{"delta": {"content": None}}]}, {"choices": [{}]}, {}], "", 0, None),
        ([], "", 0, None),
        ([{**words("a")[0], "usage": {"completion_tokens": 1}}, {"usage": None}], "a", 1, 1),
    ],
)
def test_a_stream_is_read_as_it_comes(
    events: list[Any], text: str, chunks: int, tokens: int | None, serve: Serve
) -> None:
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return streamed(*events)

    found = serve(answer).chat("m", "France?", 16)
    assert (found.text, found.chunks, found.completion_tokens) == (text, chunks, tokens)
    (body,) = asked
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 16, 0)
    assert body["stream"] is True and body["stream_options"] == {"include_usage": True}
    assert body["messages"] == [{"role": "user", "content": "France?"}]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            httpx.Response(400, text="too long " * 99),
            "refused a chat request with HTTP 400: too",
        ),
        (streamed({"error": {"message": "out of memory"}}), "out of memory"),
        (streamed("data: {half"), "did not answer a chat request"),
    ],
    ids=["refused", "error in the stream", "cut"],
)
def test_a_chat_that_fails(answer: httpx.Response, said: str, serve: Serve) -> None:
    with pytest.raises(OutsideError, match=said) as caught:
        serve(lambda _: answer).chat("m", "France?", 16)
    assert len(str(caught.value)) < 500


# -- the smoke test ---------------------------------------------------------------------------


def model(*events: Any, names: tuple[str, ...] = ("m",)) -> Answering:
    def answer(request: httpx.Request) -> httpx.Response:
        return listed(*names) if request.method == "GET" else streamed(*events)

    return answer


def test_every_prompt_is_asked_and_every_expected_word_looked_for(serve: Serve) -> None:
    engine = serve(model(*words("It is ", "Paris."), USAGE))
    prompts = [
        SmokePrompt(prompt="France?", contains=["paris", "Rome"]),
        SmokePrompt(prompt="And?"),
    ]
    tokens = SmokeCheck(
        "tokens", True, "3 tokens, TTFT 0 ms: 'It is Paris.'", "a streamed answer with text"
    )
    assert smoke(engine, "m", prompts) == [
        SmokeCheck("model", True, "m", "m"),
        tokens,
        SmokeCheck("answer", True, "'It is Paris.'", "contains 'paris'"),
        SmokeCheck("answer", False, "'It is Paris.'", "contains 'Rome'"),
        tokens,
    ]


def test_without_prompts_one_is_asked_all_the_same(serve: Serve) -> None:
    _, tokens = smoke(serve(model(*words("Hello."))), "m", [])
    assert tokens.ok and tokens.found.startswith("1 tokens")


@pytest.mark.parametrize("events", [[], words(" ", "\n")])
def test_silence_is_no_answer(events: list[Any], serve: Serve) -> None:
    assert not smoke(serve(model(*events)), "m", [])[1].ok


@pytest.mark.parametrize(("names", "found"), [(("other",), "other"), ((), "none")])
def test_another_model_is_not_asked_at_all(
    names: tuple[str, ...], found: str, serve: Serve
) -> None:
    assert smoke(serve(model(names=names)), "m", []) == [SmokeCheck("model", False, found, "m")]
