"""Credentials leave records and logs; what only sounds like one stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.scrub import answered, scrub, scrub_text
from tasks.outside.disk.records import keep_log
from tests.support.places import DATA

RECORDED = sorted((DATA / "logs").glob("*.log"))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("{'api_key': ['sesame'], 'max_tokens': 5}", "{'api_key': [***], 'max_tokens': 5}"),
        ("--api-key sesame --port 8000", "--api-key *** --port 8000"),
        ("VLLM_API_KEY=sesame", "VLLM_API_KEY=***"),
        ('{"token": "ms-0a1b2c3d"}', '{"token": "***"}'),
        ("HF_TOKEN=hf_abcdefghijklmnop", "HF_TOKEN=***"),
        ("secret_access_key = 'abc/def'", "secret_access_key = '***'"),
        ("GET http://me:pa55@hub/x", "GET http://***@hub/x"),
        ("sent sk-abcdefghijklmnop", "sent ***"),
        ("password: sesame", "password: ***"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "***"),
    ],
)
def test_credentials_of_a_log(text: str, left: str) -> None:
    assert scrub_text(f"before\n{text}\nafter") == f"before\n{left}\nafter"


@pytest.mark.parametrize(
    "text",
    [
        "eos_token: '</s>', pad_token_id=2, tokenizer='/models/x1', max_token=4096",
        "prompt_tokens: 12345678, output_tok_s=41.5",
        "skip_tokenizer_init=False, tokenizer_revision=None, token=None, api_key=None",
        'secret "engine" not found',
        "trust_remote_code=True",
        "Maximum concurrency for 2,048 tokens per request: 6.69x",
        "the password is wrong",
    ],
)
def test_what_only_sounds_like_one_stays(text: str) -> None:
    assert scrub_text(text) == text


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_real_log_loses_nothing(file: Path) -> None:
    assert scrub_text(file.read_text()) == file.read_text()


@given(st.text(max_size=300))
def test_once_is_enough(text: str) -> None:
    once = scrub_text(text)
    assert scrub_text(once) == once


def test_records_go_by_the_same_rule() -> None:
    record = {"api_key": "x", "output_tokens": "5", "nested": [{"Authorization": "y"}]}
    assert scrub(record) == {
        "api_key": "***",
        "output_tokens": "5",
        "nested": [{"Authorization": "***"}],
    }


def test_a_log_is_kept_beside_the_record_without_them(tmp_path: Path) -> None:
    path = keep_log(tmp_path, "pod-engine-1.log", "api_key=sesame\nwörter\n")
    assert path == tmp_path / "logs" / "pod-engine-1.log"
    assert path.read_text(encoding="utf-8") == "api_key=***\nwörter\n"
    # a name is a name, wherever it comes from
    assert keep_log(tmp_path, "../../x.log", "").parent == tmp_path / "logs"


def test_what_an_address_answered_is_told_without_what_may_be_a_credential() -> None:
    assert answered("https://h/p?signature=1#x", "text/html", "<a>\n b" + "c" * 99) == (
        f"https://h/p answered text/html that begins '<a> b{'c' * 75}'"
    )
    assert answered("https://me:pa55@h/", "", "") == "https://***@h/ answered no content type"
    assert "sesame" not in answered("https://h/", "", "password: sesame")
