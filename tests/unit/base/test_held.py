"""A credential that this process holds appears in nothing it writes: a canary through each."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.cli.main import log_to_terminal, main
from tasks.base import scrub as scrubbing
from tasks.base.errors import OutsideError
from tasks.base.progress import Progress, emit, listening
from tasks.base.scrub import hold, mask, masked, says_secret, scrub, scrub_text, watch
from tasks.outside.disk import pages, records
from tasks.outside.prefect import ending, told
from tasks.outside.vllm.engine import Engine
from tasks.record.outcome import Outcome
from tasks.record.record import Record
from tasks.record.record import read as read_record
from tasks.report import junit

# no shape of a credential: only its value gives it away
CANARY = 'plain&words"of-a<canary>'


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_PASSWORD", CANARY)


def test_a_record_its_page_and_its_junit(tmp_path: Path) -> None:
    record = Record(rollout="r", name="n", outcome="error", sentence=f"the hub said {CANARY}")
    record.spec = {"serving": {"env": {"X": f"a {CANARY}"}}}
    path = records.write(tmp_path / "record.json", record.as_dict())
    page = pages.write(path).read_text()
    xml = junit.render(read_record(records.read(path)))
    for text in (path.read_text(), page, xml):
        assert "canary" not in text and "***" in text


def test_logs_messages_and_progress(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = records.keep_log(tmp_path, "pod.log", f"header: {CANARY}\n")
    heard: list[Progress] = []
    with listening(heard.append), caplog.at_level(logging.DEBUG):
        emit(Progress("plan", "running", message=f"with {CANARY}"))
        told.say(f"asked with {CANARY}")
    assert "canary" not in log.read_text() + heard[0].message + caplog.text
    assert "asked with ***" in caplog.text


def test_states_of_prefect() -> None:
    record = Record(rollout="r", name="n")
    for state in (
        ending.as_state(Outcome("error", f"it failed: {CANARY}"), record),
        ending.no_record(OutsideError(f"it failed: {CANARY}")),
    ):
        assert state.message == "it failed: ***"


def test_a_traceback_in_a_log() -> None:
    try:
        raise ValueError(f"bad {CANARY}")
    except ValueError:
        record = logging.LogRecord("x", 40, "f", 1, "%s", (CANARY,), sys.exc_info())
    assert masked(record)
    text = logging.Formatter().format(record)
    assert "canary" not in text and "ValueError: bad ***" in text


def test_what_a_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", f"/nowhere/{CANARY}"]) == 2
    assert "canary" not in capsys.readouterr().err
    assert log_to_terminal


def test_what_is_read_elsewhere_is_held_too() -> None:
    with Engine("http://127.0.0.1:9", api_key="word-by-word"):
        assert mask("x word-by-word y") == "x *** y"


def test_json_and_html_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "canary" not in mask(json.dumps({"a": CANARY}))
    assert "canary" not in mask("plain&amp;words&quot;of-a&lt;canary&gt;")
    monkeypatch.setenv("DATABASE", "postgres://me:open-sesame@db/x")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:hunter-two")
    assert scrub_text("open-sesame and hunter-two") == "*** and ***"


@given(st.text(min_size=6, max_size=30).filter(lambda t: t.strip("*")), st.text(max_size=40))
def test_a_held_value_is_nowhere(value: str, around: str) -> None:
    scrubbing._held.clear()
    hold(value)
    told_ = f"{around}{value}{around}"
    assert value not in mask(told_) or value in around.replace(value, "***") or "*" in value
    assert scrub({"a": [value]}) == {"a": ["***"]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VLLM_USE_V1", "1"),
        ("HF_HOME", "/models/hf"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("tokenizer", "/models/tokenizer"),
        ("max_tokens", "512"),
        ("KEY_CACHE", "fp8_e5m2"),
        ("EOS_TOKEN", "</s>"),
        ("pad_token", "pad1"),
        ("HF_TOKEN_PATH", "/run/secrets/token"),
        ("DB_PASSWORD_FILE", "/run/secrets/db"),
        ("API_KEY", "/run/secrets/key"),
        ("GPG_KEY", "short"),
        ("VLLM_API_KEY", ""),
        ("MONKEY", "banana-banana-banana-1"),
        ("PWD", "/home/me"),
        ("SSH_AUTH_SOCK", "/tmp/x1"),
        ("NCCL_SOCKET_IFNAME", "eth0"),
    ],
)
def test_what_is_no_credential(name: str, value: str) -> None:
    assert not says_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "abcdef"),
        ("hub-token", "sesame"),
        ("apiKey", "sesame"),
        ("AWS_SECRET_ACCESS_KEY", "/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("DB_PASSWORD", "12345678"),
        ("CLIENT_SECRET_2", "sesame"),
        ("LICENSE_KEY", "0123456789abcdef01"),
        ("PREFECT_API_AUTH_STRING", "admin:pass"),
    ],
)
def test_what_is_one(name: str, value: str) -> None:
    assert says_secret(name, value)


@pytest.mark.parametrize("turn", ["first", "again"])
def test_what_one_test_holds_is_no_others(turn: str) -> None:
    environment = {"OF_A_TEST_PASSWORD": "sixth sense"}
    for word in ("a word of a test", "sixth sense"):
        assert mask(word) == word, turn
    hold("a word of a test")
    watch(environment)
    assert mask("a word of a test, sixth sense") == "***, ***"
