"""A step that fails is one message: the reason once, what to do, and where the whole log lies."""

from __future__ import annotations

from pathlib import Path

from tests.flows.house import House, record_named
from tests.support.places import DATA

RECORDED = DATA / "logs" / "vllm-0.32-shm-64MiB.log"
CAUSE = "the engine needs 160 MiB of shared memory (/dev/shm), 64 MiB are free"


def crashing(home: House, logs: str) -> Path:
    """A spec whose engine writes a log and ends with 1."""
    program = home.folder / "crash.py"
    program.write_text(f"import sys\nsys.stdout.write({logs!r})\nsys.stdout.flush()\nsys.exit(1)\n")
    return home.spec(serving__command=["python3", str(program)])


def test_a_failed_step_is_one_message_and_its_log_is_kept(home: House) -> None:
    home.publish(1)
    logs = RECORDED.read_text() + "VLLM_API_KEY=sesame\n"
    said = home.rollout("run", str(crashing(home, logs)), expect=1)
    assert "Traceback" not in said and "prefect" not in said.lower()
    assert said.count(CAUSE) == said.count("Insufficient space in /dev/shm") == 1
    assert "set serving.resources.shm_gib to 1 or more" in said
    # the steps up to the failing one, what its pod went through, and the message
    assert len(said.splitlines()) < 32
    record = record_named(said)
    assert CAUSE in record["sentence"]
    (kept,) = record["logs"]
    assert f"log: {kept}" in said
    whole = Path(kept).read_text()
    assert whole == logs.replace("sesame", "***")
    assert Path(kept).parent == Path(record["record"]).parent / "logs"

    gone = home.rollout("run", str(home.spec(serving__image="nowhere/engine:9")), expect=1)
    assert "Traceback" not in gone and gone.count("the registry does not have it") == 1
    assert "running: ErrImagePull" in gone and "logs" not in record_named(gone)


def test_a_refusal_for_want_of_memory_says_that_it_is_memory(home: House) -> None:
    home.publish(1)
    for memory, says in (("640Gi", "64 GiB of memory allocatable"), ("40Gi", "free of 64")):
        spec = home.spec(
            serving__resources={"cpu": "100m", "memory": memory, "shm_gib": 0},
            serving__replicas=2 if memory == "40Gi" else 1,
        )
        said = home.rollout("run", str(spec), expect=5)
        assert says in said and f"{memory[:-2]} GiB of memory a replica" in said
        assert "node-a: " in said.splitlines()[-4]


def test_a_probe_that_fails_leaves_its_log(home: House) -> None:
    home.publish(1)
    program = ["sh", "-c", "echo token=abcd1234efgh; echo ValueError: odd; exit 3"]
    spec = home.spec(runner__pod={"containers": [{"name": "runner", "command": program}]})
    for command in ("check-nodes", "run"):
        said = home.rollout(command, str(spec), expect=5)
        assert "exited with 3: ValueError: odd" in said
        (path,) = [x.removeprefix("log: ") for x in said.splitlines() if x.startswith("log: ")]
        assert Path(path).read_text() == "token=***\nValueError: odd\n"
