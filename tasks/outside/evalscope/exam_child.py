"""The process that runs evalscope's evaluation.

evalscope seeds and logs globally, prints, and starts threads that a wedged engine keeps for ever,
so it lives in a process of its own, driven by exam. End of stdin ends it, so that it never outlives
its parent.

The exam is a benchmark of its own in evalscope's registry, because the metrics of its general_qa
adapter (BLEU, ROUGE; evalscope 1.14.1, benchmarks/general_qa) compare wording: 'The capital of
France is Paris.' scores low against 'Paris'. What evalscope does not say of itself is noted here:
it drops a question whose request failed from its results (evaluator/evaluator.py), and takes the
error text of a too long prompt for an answer (models/utils/openai.py).
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from tasks.measure.questions import is_right, unfinished
from tasks.outside.evalscope.orders import ExamOrder, Unanswered, unanswered_line

NAME = "rollout_exam"
ERRORS = "errors.jsonl"


def install(order: ExamOrder) -> None:
    """Put the exam into evalscope's registry; errors go to its out_dir/errors.jsonl."""
    from evalscope.api.benchmark import BenchmarkMeta, DefaultDataAdapter
    from evalscope.api.dataset import Sample
    from evalscope.api.metric import Score
    from evalscope.api.registry import register_benchmark
    from openai import APITimeoutError

    lock = threading.Lock()
    timeouts = [0]  # in a row

    def note(index: int, error: str) -> None:
        file = Path(order.out_dir) / ERRORS
        with lock, file.open("a", encoding="utf-8") as out:
            out.write(unanswered_line(Unanswered(index, error)) + "\n")

    class Exam(DefaultDataAdapter):  # type: ignore[misc]
        """Questions with accepted answers; right is who names one of them."""

        def load_from_disk(self, **_: Any) -> Any:
            return super().load_from_disk(use_local_loader=True)

        def record_to_sample(self, record: dict[str, Any]) -> Any:
            return Sample(input=record["question"], target=record["answer"])

        def run_inference(self, model: Any, sample: Any, output_dir: str, **more: Any) -> Any:
            try:
                if timeouts[0] > order.concurrency:
                    raise RuntimeError("not asked: the engine let question after question time out")
                state = super().run_inference(model, sample, output_dir, **more)
                whole(state.output)
            except Exception as error:
                timeouts[0] = timeouts[0] + 1 if isinstance(error, APITimeoutError) else timeouts[0]
                note(sample.id, f"{type(error).__name__}: {error}".split("\n", 1)[0][:300])
                raise
            timeouts[0] = 0
            return state

        def match_score(
            self,
            original_prediction: str,
            filtered_prediction: str,
            reference: str,
            task_state: Any,
        ) -> Any:
            right = is_right(original_prediction, task_state.target_reference)
            return Score(
                prediction=original_prediction,
                extracted_prediction=filtered_prediction,
                value={"acc": float(right)},
                main_score_name="acc",
            )

    register_benchmark(
        BenchmarkMeta(
            name=NAME,
            pretty_name="Exam",
            description="Short questions; an answer is right when it names an accepted one.",
            dataset_id=order.questions,
            metric_list=["acc"],
            eval_split="test",
            prompt_template="{question}",
        )
    )(Exam)


def whole(output: Any) -> None:
    """Raises RuntimeError where no answer came that could be judged (evalscope's ModelOutput)."""
    if output.stop_reason == "model_length":
        raise RuntimeError(f"refused as too long: {output.completion}")
    parts = output.message.content
    reasoned = not isinstance(parts, str) and any(part.type == "reasoning" for part in parts)
    if unfinished(output.completion, cut=output.stop_reason == "max_tokens", reasoned=reasoned):
        raise RuntimeError("the answer ended within its reasoning; raise quality.max_tokens")


def run(order: ExamOrder) -> None:
    """One evaluation; evalscope's files land in the order's out_dir."""
    from evalscope import TaskConfig, run_task

    install(order)
    run_task(
        TaskConfig(
            model=order.model,
            model_id="candidate",
            api_url=order.url,
            api_key=order.api_key or "EMPTY",
            eval_type="openai_api",
            model_args={"max_retries": 0},
            datasets=[NAME],
            dataset_args={NAME: {"local_path": order.questions}},
            dataset_hub="local",
            generation_config={
                "temperature": 0.0,
                "max_tokens": order.max_tokens,
                "timeout": order.request_timeout_s,
                "retries": 1,
            },
            eval_batch_size=order.concurrency,
            ignore_errors=True,
            work_dir=order.out_dir,
            no_timestamp=True,
            collect_perf=False,
        )
    )


def main() -> int:
    """Run the exam of the order that is named; 1 when evalscope failed."""

    def listen() -> None:
        sys.stdin.read()
        os._exit(3)

    threading.Thread(target=listen, daemon=True).start()
    run(ExamOrder.read(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
