"""Who is told: read from a file or the environment, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.notify import VARIABLE, recipients, try_all
from flows.cli.screen import Screen
from tasks.base.errors import SpecError
from tasks.base.scrub import mask

ADDRESS = "https://oapi.dingtalk.com/robot/send?access_token=open-sesame-1#SEC-open-sesame-2"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def file_of(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "notify"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_file_that_is_nobody_elses(tmp_path: Path) -> None:
    found = recipients(file_of(tmp_path, f"# ops\n{ADDRESS}\n\nhttps://a.example/x"))
    assert found.splitlines() == [f"dingtalk+{ADDRESS}", "webhook+https://a.example/x"]
    assert "sesame" not in mask(f"told {ADDRESS}")
    assert recipients(file_of(tmp_path, found, 0o640)) == found  # as a mounted Secret is


def test_the_environment_and_the_file_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recipients(None) == ""
    monkeypatch.setenv(VARIABLE, "https://a.example/x https://b.example/y")
    assert len(recipients(None).split()) == 2
    assert len(recipients(file_of(tmp_path, "https://a.example/x")).split()) == 1


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (ADDRESS, 0o644, "others may read it (mode 644)"),
        ("dingtalk://open-sesame-1", 0o600, "line 1: dingtalk:// does not tell a refusal"),
        ("", 0o600, "no address"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, mode: int, said: str) -> None:
    file = file_of(tmp_path, text, mode)
    with pytest.raises(SpecError) as caught:
        recipients(file)
    assert f"--notify-file {file}: " in str(caught.value) and said in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(SpecError, match="--notify-file no: cannot be read"):
        recipients("no")


def test_a_test_wants_a_server(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"PREFECT_API_URL is not set, and .* has no server"):
        try_all(Screen(), state=str(tmp_path))
