"""The report on disk: drawn from what lies there, and never in the way of an outcome."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flows.cli import report
from tasks.base.errors import OutsideError, Refused, SpecError
from tasks.outside.disk import pages, records
from tasks.record.parts import TargetJudged
from tasks.report.html import esc, limit_text
from tasks.report.page import FILES
from tasks.report.words.speech import PageLanguage
from tests.support import reportdata
from tests.support.places import DATA

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def record_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with two rollouts of 'qwen'; the newer one's record."""
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv(records.ENV, str(tmp_path))
    measured = reportdata.rounds(3, 16)
    for rollout in ("20261122T101500-000000", "20261123T101500-29e2b0"):
        folder = records.folder("qwen", rollout)
        record = reportdata.record(measured, rollout=rollout)
        records.write(folder / records.FILE, record)
    pages.keep_rows(folder, measured)
    return folder / records.FILE


def test_the_page_is_drawn_again_from_the_files(
    record_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.show_report("qwen", "table", None, False) == 0
    page = Path(capsys.readouterr().out.strip())
    assert page == record_file.with_name("report.html")
    text = page.read_text(encoding="utf-8")
    assert "Time to first token" in text
    page.unlink()
    assert pages.write(record_file).read_text(encoding="utf-8") == text


OF_ANOTHER_KIND = {"verify": "20261124T101500-000000", "bench": "20261125T101500-000000"}


@pytest.fixture
def measured_since(record_file: Path) -> dict[str, Path]:
    """What serves was verified and measured after the last rollout; the records by kind."""
    found = {"rollout": record_file}
    for kind, rollout in OF_ANOTHER_KIND.items():
        body = {**reportdata.record((), rollout=rollout), "kind": kind}
        found[kind] = records.write(records.folder("qwen", rollout) / records.FILE, body)
    return found


def test_the_last_rollout_is_not_hidden_by_what_measured_it_again(
    measured_since: dict[str, Path],
) -> None:
    assert pages.find("qwen") == pages.find("qwen", "rollout") == measured_since["rollout"]
    assert pages.find("qwen", "verify") == measured_since["verify"]
    assert pages.find("qwen", "bench") == measured_since["bench"]
    # by its id, whatever it is of
    assert pages.find(f"qwen/{OF_ANOTHER_KIND['bench']}") == measured_since["bench"]


def test_what_is_not_there_is_told_with_what_is(measured_since: dict[str, Path]) -> None:
    with pytest.raises(Refused, match=r"20261123T101500-29e2b0, 20261124\S+ \(verify\), "):
        pages.find("qwen/none")
    for kind in ("rollout", "verify"):
        for path in records.home().glob(f"rollouts/qwen/*/{records.FILE}"):
            if records.kind_and_namespace(path)[0] == kind:
                path.unlink()
    with pytest.raises(Refused, match="no record of kind rollout; it holds 1 of kind bench"):
        pages.find("qwen")
    with pytest.raises(SpecError, match="names one record; leave out the id, or --kind bench"):
        pages.find("qwen/r", "bench")


def test_another_namespaces_record_is_never_shown(
    record_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two namespaces may each have a rollout of one name, and one machine runs both."""
    record = records.read(record_file)
    there, later = record["namespace"], "20261201T101500-000000"
    body = {**record, "rollout": later, "namespace": "staging"}
    other = records.write(records.folder("qwen", later) / records.FILE, body)
    assert pages.find("qwen", namespace=there) == record_file
    assert pages.find("qwen", namespace="staging") == pages.find("qwen") == other
    with pytest.raises(Refused, match=f"of kind rollout in none; it holds .* in {there}: `--kind`"):
        pages.find("qwen", namespace="none")
    with pytest.raises(Refused, match=f"is a record of namespace staging, not of {there}"):
        pages.find(f"qwen/{later}", namespace=there)
    assert report.show_report("qwen", "table", None, False) == 0
    assert capsys.readouterr().err == f"staging/qwen, rollout {later}\n"


@pytest.mark.parametrize(
    ("locale", "asked", "file"),
    [
        ({"LANG": "zh_CN.UTF-8"}, None, "report.zh.html"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, None, "report.html"),
        ({"LANG": "fr_FR.UTF-8"}, None, "report.html"),
        ({}, "zh", "report.zh.html"),
        ({"LC_MESSAGES": "zh_SG"}, "en", "report.html"),
    ],
)
def test_the_page_is_in_the_language_of_who_asks(
    record_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    locale: dict[str, str],
    asked: PageLanguage | None,
    file: str,
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in locale.items():
        monkeypatch.setenv(name, value)
    assert report.show_report("qwen", "table", None, False, asked) == 0
    page = Path(capsys.readouterr().out.strip())
    assert page == record_file.with_name(file)
    # each is there for the other's link
    for drawn in FILES.values():
        assert record_file.with_name(drawn).is_file()


def test_an_older_rollout_is_named_by_its_id(
    record_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.show_report("qwen/20261122T101500-000000", "table", None, False) == 0
    text = Path(capsys.readouterr().out.strip()).read_text(encoding="utf-8")
    # its rows were not kept: the page still stands, without distributions
    assert "Time to first token" not in text
    assert "20261122T101500-000000" in text


@pytest.mark.parametrize(
    ("name", "error"),
    [
        *((name, SpecError) for name in ("", "qwen/", "../x", "qwen/../..", "a/b/c")),
        *((name, Refused) for name in ("qwen/none", "none")),
    ],
)
def test_a_name_without_a_record_is_refused(
    record_file: Path, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        report.show_report(name, "table", None, False)


def test_json_and_junit(record_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit = record_file.with_name("junit.xml")
    assert report.show_report("qwen", "json", junit, False) == 0
    assert json.loads(capsys.readouterr().out)["rollout"] == "20261123T101500-29e2b0"
    assert ElementTree.parse(junit).getroot().tag == "testsuites"
    with pytest.raises(OutsideError, match="cannot be written"):
        report.show_report("qwen", "json", record_file.parent / "none" / "junit.xml", False)


def test_a_page_that_cannot_be_drawn_changes_nothing(record_file: Path) -> None:
    record_file.with_name("rounds.json.gz").write_bytes(b"broken")
    assert pages.try_write(record_file) is None
    assert not record_file.with_name("report.html").exists()
    with pytest.raises(SpecError, match="rounds"):
        pages.write(record_file)


def test_no_credential_reaches_the_page(record_file: Path) -> None:
    record = records.read(record_file)
    record["spec"]["serving"] = {"env": {"HUB_API_KEY": "hunter2"}}
    record_file.write_text(json.dumps(record), encoding="utf-8")
    text = pages.write(record_file).read_text(encoding="utf-8")
    assert "HUB_API_KEY" in text
    assert "hunter2" not in text


def test_the_versions_are_those_installed() -> None:
    from importlib.metadata import version

    found = pages.versions()
    assert found["evalscope"] == version("evalscope")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize(("width", "language"), [(360, "zh"), (360, "en"), (1280, "zh")])
def test_in_a_browser_nothing_sticks_out(
    tmp_path: Path, width: int, language: PageLanguage
) -> None:
    """The page is measured inside a frame of that width; nothing may need sideways scrolling."""
    measured = reportdata.rounds(4, 32, ab=True)
    record = reportdata.record(measured, leftover="x" * 400)
    targets = [item for item in record["judge"]["targets"] if not item["advisory"]]
    record["earlier"] = [{"rollout": f"r{i}", "targets": targets} for i in range(8)]
    page = reportdata.page(record, measured, language)
    assert "script" not in page.split("</style>")[0]
    # the page's own policy forbids scripts, so that the measuring one needs it gone
    bare = page.replace('http-equiv="Content-Security-Policy"', 'name="none"')
    bare = bare.replace("<details>", "<details open>")
    script = """<script>addEventListener('load',()=>{const w=document.documentElement.clientWidth;
    const out=[...document.querySelectorAll('body *')].filter(e=>e.getClientRects().length&&
    !e.closest('thead,caption')&&e.getBoundingClientRect().right>w+1)
    .map(e=>e.tagName+'.'+(e.getAttribute('class')||'')+':'+e.textContent.slice(0,30));
    parent.postMessage([w,document.documentElement.scrollWidth,out],'*')})</script>"""
    (tmp_path / "page.html").write_text(bare.replace("</body>", f"{script}</body>"), "utf-8")
    (tmp_path / "frame.html").write_text(
        f"<body><iframe src=page.html style='width:{width}px;height:800px;border:0'></iframe>"
        "<pre id=said></pre><script>addEventListener('message',e=>{"
        "document.getElementById('said').textContent=JSON.stringify(e.data)})</script>",
        "utf-8",
    )
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --dump-dom "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--virtual-time-budget=4000"
    )
    done = subprocess.run(
        [str(BROWSER), *flags.split(), f"--user-data-dir={tmp_path / 'profile'}",
         (tmp_path / "frame.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    said = done.stdout.split('<pre id="said">')[1].split("</pre>")[0]
    inner, needed, outside = json.loads(said)
    assert inner in (width, width - 15)  # a scroll bar takes 15
    assert needed <= inner, outside
    assert outside == []


@pytest.mark.parametrize("ending", ["promoted", "failed", "error"])
def test_records_of_the_first_schema_still_open(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: str,
) -> None:
    """Three of a real cluster, from before a record had a part a step."""
    monkeypatch.setenv(records.ENV, str(tmp_path))
    data = (DATA / "records" / f"{ending}.json").read_text(encoding="utf-8")
    folder = records.folder("old", "20261125T095516-09ee49")
    (folder / records.FILE).write_text(data, encoding="utf-8")
    junit = folder / "junit.xml"
    assert report.show_report("old", "table", junit, False) == 0
    page = Path(capsys.readouterr().out.strip()).read_text(encoding="utf-8")
    old = json.loads(data)
    assert old["schema"] == 1 and old["outcome"] == ending
    assert "could not be read" not in page
    said = [old["model"]["commit"], old["release"]["deployment"], old["nodes"][0]["name"]]
    said += [item["found"] for item in old.get("smoke", [])[:1]]
    said += [step["sentence"][:40] for step in old["steps"] if step["state"] == "done"]
    for text in said:
        assert esc(text) in page, text
    for target in old.get("targets", []):
        assert esc(limit_text(TargetJudged(**target))) in page
    found = ElementTree.parse(junit).getroot()
    assert len(list(found.iter("testcase"))) == 1 + len(old["steps"]) + len(
        old.get("smoke", [])
    ) + len(old.get("targets", []))
