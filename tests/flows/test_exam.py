"""A quality exam in a whole rollout: fast nonsense is not promoted, and stops before the load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.outside.evalscope.exam import load_questions
from tasks.spec.measure import Quality
from tests.flows.house import House, record_of

pytestmark = pytest.mark.timeout(900)

QUALITY = {"minimum_percent": 80, "concurrency": 8}
ANSWERS = {
    question.text: f"I say {question.accepted[0]}."
    for question in load_questions(Quality(minimum_percent=80))
}


def test_a_model_that_answers_well_is_promoted_and_fast_nonsense_is_not(home: House) -> None:
    good = home.publish(1, laws={"answers": ANSWERS})
    spec = str(home.spec(quality=QUALITY))
    said = home.rollout("run", spec, expect=0)
    assert "60 of 60 answers are right" in said
    record = record_of(home)
    assert [step["step"] for step in record["steps"]].index("exam") == len(
        ["resolve_model", "validate_nodes", "plan", "fetch_weights", "deploy", "smoke"]
    )
    verdicts = {item["metric"]: item["verdict"] for item in record["judge"]["targets"]}
    assert verdicts["exam_correct_percent"] == "pass" and len(verdicts) == 4
    assert record["exam"]["right"] == len(record["exam"]["rows"]) == 60

    before = home.state()
    home.publish(2)  # as fast, and Paris is its answer to everything
    with home.asking() as seen:
        said = home.rollout("run", spec, expect=3)
    assert not seen.failed and "1 of 60 answers are right" in said and "removed candidate" in said
    record = record_of(home)
    assert record["judge"]["verdict"] == "fail" and "benchmark" not in record
    steps = [step["step"] for step in record["steps"]]
    assert steps[-3:] == ["exam", "judge", "roll_back"]
    assert Path(record["judge"]["data_docs"]).is_file()
    assert "exam_correct_percent" in Path(record["report"]).read_text()
    state = home.state()
    assert state.stable == before.stable and state.stable is not None
    assert state.stable.commit == good and state.candidate is None
    assert home.objects("Service") == ["tiny"]

    wrong = home.spec(quality={**QUALITY, "questions": "nowhere.jsonl"})
    jobs = home.objects("Job")
    assert "nowhere.jsonl cannot be read" in home.rollout("run", str(wrong), expect=1)
    assert home.objects("Job") == jobs
