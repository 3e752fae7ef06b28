"""Batches of supervised stages: reference proofs, answers to feedback, the policy's own proofs."""

import asyncio
import dataclasses

import jax
import numpy as np
import pytest
from rollouts import THEOREMS, FakeWorker, Steps, attempt, small_generator

from fdjax.benchmark.interpreter import run
from fdjax.benchmark.repair import initial_goal
from fdjax.config import (
    ConfigError,
    DataConfig,
    ExpertIterationStage,
    SupervisedStage,
    default,
    read,
)
from fdjax.feedback.oracle import oracle
from fdjax.training.supervised_sources import expert_iteration, supervised
from fdjax.types import Candidate, Feedback, FeedbackContext, Verdict


@pytest.fixture(scope="module")
def prompts():
    return small_generator().prompts


# --- Reference proofs and answers to feedback ----------------------------------------------------


def failing_worker(generator):
    """Every theorem is attempted once, and all attempts fail."""

    def groups_of(step, refill):
        items = [
            [(t, attempt(generator.prompts, t, "exact nonsense"), Verdict("failed"))]
            for t in THEOREMS
        ]
        feedbacks = asyncio.run(oracle("correction")(items, FeedbackContext("sft", step)))
        return [[(*item, feedback)] for [item], [feedback] in zip(items, feedbacks)]

    return FakeWorker(generator, groups_of)


def supervised_steps(stage, worker, start=0):
    return Steps(supervised(stage, worker, DataConfig(), seed=0, start=start), worker)


def test_supervised_rows_are_plain_and_later_also_answers_to_feedback(prompts):
    stage = SupervisedStage(batch_size=20, feedback_start=2, feedback_fraction=0.6)
    worker = failing_worker(small_generator())
    steps = supervised_steps(stage, worker)
    for index, expected in ((0, 0), (1, 0), (2, 12), (3, 12)):
        batch, metrics = steps(index)
        answers = 0
        assert len(batch.tokens) == 20
        for prompt, answer in rows_of(batch):
            prompt = prompts.tokenizer.decode(prompt)
            assert answer[-1] == prompts.tokenizer.eos_id and prompt.endswith(":= by\n  ")
            if "a proof is" in prompt:
                answers += 1
                shown = prompt.split("a proof is\n  ")[1].removesuffix("\n:= by\n  ")
                assert shown == prompts.tokenizer.decode(answer[:-1])
        assert answers == expected
        assert metrics.get("cost/rollouts", 0) == (len(THEOREMS) if index == 2 else 0)
    assert worker.generated == [(2, 0)]
    # A run that resumes after `feedback_start` begins the rollout of that same step.
    worker = failing_worker(small_generator())
    again, metrics = supervised_steps(stage, worker, start=3)(3)
    assert worker.generated == [(2, 0)]
    np.testing.assert_array_equal(again.tokens, batch.tokens)
    assert "cost/rollouts" not in metrics  # step 2 has counted them


def test_an_answer_without_room_for_its_feedback_is_not_learned(prompts):
    """Its prompt would be the student's, and the proof one that plain rows are not to teach."""
    room = max(len(prompts.student(theorem)) for theorem in THEOREMS)
    tight = dataclasses.replace(prompts, teacher_buckets=(room,))
    worker = failing_worker(dataclasses.replace(small_generator(), prompts=tight))
    groups = worker.groups_of(0, 0)
    fits = [len(prompts.teacher(t, f)[0]) <= room for [(t, _, _, f)] in groups]
    _, metrics = supervised_steps(SupervisedStage(feedback_start=0), worker)(0)
    assert metrics["feedback_rows"] == sum(fits) < len(fits)


def test_rows_over_the_budget_are_counted_on_the_console(prompts, capsys):
    lengths = [len(prompts.tokenizer.encode(t.reference[len(" by\n  ") :])) for t in THEOREMS]
    short = dataclasses.replace(prompts, response_length=min(lengths) + 1)
    kept = lengths.count(min(lengths))
    worker = failing_worker(dataclasses.replace(small_generator(), prompts=short))
    batch, _ = supervised_steps(SupervisedStage(), worker)(0)
    assert len({row.tobytes() for row in batch.tokens}) <= kept < len(THEOREMS)
    assert f"{40 - kept} of 40 rows are over the token budgets" in capsys.readouterr().out


# --- Dialogues -----------------------------------------------------------------------------------


def answer_ids(prompts):
    """What an environment would answer, written as a dialogue writes it."""

    def ids(item):
        assert item[2].status == "failed"
        return prompts.tokenizer.encode("\nLean refuses it\n:= by\n  ")

    return ids


def dialogue_steps(prompts, worker, start=0, **fields):
    stage = SupervisedStage(**dict(batch_size=20, feedback_start=2, feedback_fraction=0.0) | fields)
    source = supervised(stage, worker, DataConfig(), 0, start, answer_ids(prompts))
    return Steps(source, worker)


def test_a_mended_attempt_is_learned_after_the_failed_one_and_its_answer(prompts):
    fields = {"dialogue_fraction": 0.5, "feedback_fraction": 0.25}
    steps = dialogue_steps(prompts, failing_worker(small_generator()), **fields)
    decode = prompts.tokenizer.decode
    theorems = {decode(prompts.student(t)): t for t in THEOREMS}
    failed = [*prompts.tokenizer.encode("exact nonsense"), prompts.tokenizer.eos_id]
    failed += answer_ids(prompts)((None, None, Verdict("failed")))
    for index, expected in ((1, 0), (2, 10), (3, 10)):
        batch, metrics = steps(index)
        found = answers = 0
        for before, learned in rows_of(batch):
            answers += "a proof is" in decode(before)
            if before[-len(failed) :] != failed:
                continue
            found += 1
            theorem = theorems[decode(before[: -len(failed)])]
            assert learned[-1] == prompts.tokenizer.eos_id
            assert run(initial_goal(theorem.signature), f" by\n  {decode(learned)}").proved
        assert found == expected and answers == (5 if expected else 0)
        assert 20 < metrics["dialogue_rows"] < len(THEOREMS) if expected else not found


def test_shares_that_are_both_rounded_up_fill_no_more_than_the_batch(prompts):
    fields = {"batch_size": 7, "dialogue_fraction": 0.5, "feedback_fraction": 0.5}
    batch, _ = dialogue_steps(prompts, failing_worker(small_generator()), **fields)(2)
    assert len(list(rows_of(batch))) == 7


def test_two_failed_attempts_at_a_theorem_are_also_two_turns_of_one_row(prompts):
    generator, theorem = small_generator(), THEOREMS[0]
    feedback = Feedback(("use it",), "test", proof=Candidate(theorem.reference))
    first, second = (attempt(prompts, theorem, text) for text in ("exact h1", "exact h2"))
    group = [
        (theorem, first, Verdict("failed"), feedback),
        (theorem, first, Verdict("proved"), feedback),
        (theorem, attempt(prompts, theorem, "cut", finished=False), Verdict("failed"), feedback),
        (theorem, second, Verdict("failed"), feedback),
    ]
    longer = dataclasses.replace(prompts, response_length=200)
    generator = dataclasses.replace(generator, prompts=longer)
    worker = FakeWorker(generator, lambda step, refill: [group])
    batch, metrics = dialogue_steps(prompts, worker, dialogue_fraction=1.0)(2)
    answer = answer_ids(prompts)((theorem, first, Verdict("failed")))
    prompt = prompts.student(theorem)
    one, two = ([*a.tokens, *answer] for a in (first, second))
    mended = longer.template.response_ids(prompts.tokenizer, theorem, feedback.proof)
    assert all(learned == mended for _, learned in rows_of(batch))
    found = {tuple(before) for before, _ in rows_of(batch)}
    assert found == {(*prompt, *one), (*prompt, *two), (*prompt, *one, *two)}
    assert metrics["dialogue_rows"] == 3


def test_a_run_without_dialogues_is_as_ever(prompts):
    stage = SupervisedStage(batch_size=20, feedback_start=2)
    one = supervised_steps(stage, failing_worker(small_generator()))
    two = dialogue_steps(prompts, failing_worker(small_generator()), feedback_fraction=0.6)
    for step in (1, 2, 3):
        (first, metrics), (second, _) = one(step), two(step)
        jax.tree.map(np.testing.assert_array_equal, first, second)
        assert "dialogue_rows" not in metrics


def test_dialogues_need_an_environment_that_answers_proofs():
    config = default()
    config.sft.dialogue_fraction = 0.3
    with pytest.raises(ConfigError, match=r"sft\.dialogue_fraction is 0\.3, must be 0 unless"):
        read(config)
    config.sft.update(feedback_fraction=0.6, dialogue_fraction=0.5)
    with pytest.raises(ConfigError, match=r"sft\.feedback_fraction is 0\.6 and sft\.dialogue_fra"):
        read(config)


# --- Expert iteration ----------------------------------------------------------------------------


def worker_of_rounds(*proofs):
    """Round r proves what `proofs[r]` holds: {theorem's index: texts}."""
    generator = small_generator()

    def groups_of(step, refill):
        return [
            [
                (
                    THEOREMS[i],
                    attempt(generator.prompts, THEOREMS[i], text, finished=text != "cut off"),
                    Verdict("failed" if text == "wrong" else "proved"),
                    None,
                )
                for text in texts
            ]
            for i, texts in proofs[step].items()
        ]

    return FakeWorker(generator, groups_of)


def rows_of(batch):
    """[(prompt ids, response ids)] of the batch: what is learned comes last, then padding."""
    rows = []
    for tokens, mask, weights in zip(*batch):
        learned = np.pad(weights > 0, (len(tokens) - len(weights), 0))
        start, length = np.flatnonzero(learned)[0], mask.sum()
        assert mask[:length].all() and (learned == mask)[start:].all()
        rows.append((tokens[:start].tolist(), tokens[start:length].tolist()))
    return rows


def learned_from(prompts, batch):
    """[(prompt, response)] of the batch as text, sorted."""
    return sorted(tuple(map(prompts.tokenizer.decode, row)) for row in rows_of(batch))


def test_expert_iteration_learns_distinct_verified_attempts_the_latest_of_each(prompts):
    stage = ExpertIterationStage(steps_per_round=2, batch_size=4, proofs_per_theorem=2)
    proofs = (
        {0: ["wrong", "cut off"]},
        {0: ["exact h1", "exact  h1", "wrong", "exact h2"], 1: ["rfl"] * 4},
        {0: ["exact h3"] * 2, 1: ["wrong"] * 2, 2: ["intro h\n  exact h", "intro k\n  exact k"]},
    )
    worker = worker_of_rounds(*proofs)
    steps = Steps(expert_iteration(stage, worker, seed=0, start=0), worker)
    batches, metrics = zip(*[steps(i) for i in range(6)])
    assert [len(b.tokens) for b in batches] == [4] * 6 and batches[1].weights.sum() == 0
    assert [m["rows"] for m in metrics] == [0, 0, 3, 3, 4, 4]
    assert [m["theorems_learned"] for m in metrics] == [0, 0, 2, 2, 3, 3]
    assert ["solve_rate" in m for m in metrics] == [True, False] * 3
    assert [m.get("cost/rollouts", 0) for m in metrics] == [2, 0, 8, 0, 6, 0]
    assert metrics[2]["solve_rate"] == pytest.approx(7 / 8)
    texts = [prompts.template.text(t) for t in THEOREMS]
    first, last = learned_from(prompts, batches[2]), learned_from(prompts, batches[5])
    assert set(first) == {(texts[0], "exact h1"), (texts[0], "exact h2"), (texts[1], "rfl")}
    assert last == sorted(
        [
            (texts[0], "exact h2"),
            (texts[0], "exact h3"),
            (texts[1], "rfl"),
            (texts[2], "intro h\n  exact h"),
        ]
    )
    rounds = [0, 1, 2]
    assert worker.generated == [(r, 0) for r in rounds] and [r for r, _ in worker.noted] == rounds

    # A run that resumes in mid-round reads all rounds again; their verdicts are noted already.
    worker = worker_of_rounds(*proofs)
    again = Steps(expert_iteration(stage, worker, seed=0, start=5), worker)(5)
    jax.tree.map(np.testing.assert_array_equal, again, (batches[5], metrics[5]))
    assert worker.generated == [(r, 0) for r in rounds] and worker.noted == []

    # Without replay each round has its own proofs alone.
    alone = dataclasses.replace(stage, replay=False)
    for start in (0, 5):
        worker = worker_of_rounds(*proofs)
        steps = Steps(expert_iteration(alone, worker, seed=0, start=start), worker)
        *_, (batch, metrics) = [steps(i) for i in range(start, 6)]
        assert (metrics["rows"], metrics["theorems_learned"]) == (2, 2)
        assert set(learned_from(prompts, batch)) == {
            (texts[0], "exact h3"),
            (texts[2], "intro h\n  exact h"),
        }


def test_corrections_in_place_of_its_own_proofs(prompts):
    worker = worker_of_rounds({0: ["wrong", "exact nonsense"], 1: ["rfl", "intro h9 h9"]})
    groups_of = worker.groups_of

    def corrected(step, refill):
        items = [[item[:3] for item in group] for group in groups_of(step, refill)]
        feedbacks = asyncio.run(oracle("correction")(items, FeedbackContext("", step)))
        return [[(*i, f) for i, f in zip(*both)] for both in zip(items, feedbacks)]

    worker.groups_of = corrected
    stage = ExpertIterationStage(batch_size=4, corrections=True)
    batch, metrics = Steps(expert_iteration(stage, worker, seed=0, start=0), worker)(0)
    theorems = {prompts.template.text(t): t for t in THEOREMS[:2]}
    learned = learned_from(prompts, batch)
    assert metrics["theorems_learned"] == 2 and {prompt for prompt, _ in learned} == set(theorems)
    for prompt, response in learned:
        goal = initial_goal(theorems[prompt].signature)
        assert run(goal, f" by\n  {response}").proved
