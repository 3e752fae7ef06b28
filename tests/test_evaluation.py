"""Evaluation with attempts and verdicts made by hand: no model, no Lean."""

import asyncio
import concurrent.futures
import dataclasses
import types

import pytest

from fdjax.config import Config, EnvironmentConfig, EvaluationConfig, LeanConfig
from fdjax.rollout.generate import Sampling
from fdjax.training import evaluation
from fdjax.training.manifest import Policy
from fdjax.types import REPLAY, Attempt, Candidate, Feedback, Message, Segment, Theorem, Verdict

THEOREMS = [Theorem(f"t{i}", f"t{i}", "(p : Prop) : p → p") for i in range(5)]
SAMPLING = Sampling(samples=2, temperature=1.0, seed=0, stream="evaluation")


def attempt(theorem, sample, proof=" by rfl", tokens=(1, 2), finished=True, entropy=0.5):
    logprobs = (-1.0,) * len(tokens)
    return Attempt(
        theorem.id, sample, (Segment(tokens),), logprobs, finished, Candidate(proof), (), entropy
    )


class Prompts:
    """Prompts are what the test can read: (theorem, feedback)."""

    def student(self, theorem):
        return (theorem.id, None)

    def teacher(self, theorem, feedback):
        """Drops what is over a budget."""
        if feedback is None or feedback.messages == ("too long",):
            return None, 1
        return (theorem.id, feedback.text), 0


GENERATOR = types.SimpleNamespace(prompts=Prompts())


def test_figures_of_an_evaluation(monkeypatch):
    one, other = THEOREMS[:2]
    a = attempt(one, 0, " by\n  intro a\n  exact a", (1,) * 3, True, 0.2)
    b = attempt(one, 1, " by\n  intro b\n  exact b", (1,), False, 1.0)
    groups = [
        [(one, a, Verdict("proved")), (one, b, Verdict("proved"))],
        [
            (other, attempt(other, 0), Verdict("timeout")),
            (other, attempt(other, 1), Verdict("failed")),
        ],
    ]
    monkeypatch.setattr(evaluation, "attempt", lambda *_: groups)
    farm = types.SimpleNamespace(second=None)
    figures = evaluation.evaluate(GENERATOR, None, farm, [one, other], SAMPLING)
    assert figures["solved"] == {"t0": 2, "t1": 0}
    assert figures["pass_at_k"]["1"]["mean"] == 0.5
    assert figures["entropy"] == pytest.approx((3 * 0.2 + 1.0 + 4 * 0.5) / 8)  # by token
    assert figures["distinct_proofs"] == 0.5  # a and b are one proof; the other theorem has none
    assert figures["unique_ratio"] == 2 / 4
    assert figures["unverified"] == 1 and figures["truncated"] == 0.25
    assert figures["response_tokens"] == 2.0 and "replay_refused" not in figures
    refused = Verdict("failed", (Message("error", "no", REPLAY),))
    groups.append([(one, a, refused), (one, b, Verdict("proved"))])
    farm.second = farm
    figures = evaluation.evaluate(GENERATOR, None, farm, [one, other, THEOREMS[2]], SAMPLING)
    assert figures["replay_refused"] == 1 and figures["solved"] == {"t0": 2, "t1": 0, "t2": 1}


@pytest.mark.parametrize("none", [None, Feedback(("too long",), "test")])
def test_the_teacher_reads_its_own_feedback_none_and_that_of_others(monkeypatch, none):
    """t0 is solved, t1 has only unfinished failures, t3 no feedback or none that fits a prompt: t2
    and t4 are left.

    The provider sees whole groups; feedback on the first failure of each is requested.
    """
    requested, read = [], []

    def attempts(generator, params, farm, theorems, prompts, sampling):
        assert params == "policy"
        teacher = sampling.stream == "teacher gap"
        if teacher:
            read.append(prompts)
        solved = {"t2"} if teacher else {"t0"}
        return [
            [
                (
                    t,
                    attempt(t, g, finished=t.id != "t1"),
                    Verdict("proved" if t.id in solved else "failed"),
                )
                for g in range(2)
            ]
            for t in theorems
        ]

    async def provider(groups, context):
        assert context.params == "policy"
        requested.append(([[t.id for t, _, _ in g] for g in groups], context.requested))
        return [
            [
                none if t.id == "t3" else Feedback((f"about {t.id}" + " again" * i,), "test")
                for i, (t, _, _) in enumerate(g)
            ]
            for g in groups
        ]

    monkeypatch.setattr(evaluation, "attempt", attempts)
    rates = asyncio.run(
        evaluation.teacher_solve_rate(GENERATOR, "policy", None, provider, THEOREMS, SAMPLING)
    )
    assert requested == [([["t2"] * 2, ["t3"] * 2, ["t4"] * 2], [[True, False]] * 3)]  # once
    assert read == [
        [("t2", "about t2"), ("t4", "about t4")],
        [("t2", None), ("t4", None)],
        [("t2", "about t4"), ("t4", "about t2")],
    ]
    assert rates == {"feedback": 0.5, "none": 0.5, "shuffled": 0.5}


def test_no_failure_no_gap(monkeypatch):
    solved = [[(t, attempt(t, 0), Verdict("proved"))] for t in THEOREMS]
    monkeypatch.setattr(evaluation, "attempt", lambda *_: solved)

    async def provider(groups, context):
        return [[None for _ in g] for g in groups]

    rates = asyncio.run(
        evaluation.teacher_solve_rate(GENERATOR, None, None, provider, THEOREMS, SAMPLING)
    )
    assert rates == {}


def test_a_gap_that_cannot_be_measured_is_a_warning(monkeypatch, capsys):
    monkeypatch.setattr(evaluation, "once", lambda *_: {})
    monkeypatch.setattr(evaluation, "manifest_fields", lambda _: {})
    stage = types.SimpleNamespace(theorems="train", samples_per_prompt=2, temperature=1.0)
    config = types.SimpleNamespace(
        blocks={"fd": stage}, evaluation=EvaluationConfig(), feedback=None, seed=0
    )
    run = types.SimpleNamespace(config=config, theorems={"train": THEOREMS})
    evaluation.measure_teacher(run, "fd", 0.05, types.SimpleNamespace(name="sft"))
    assert "was not measured: of 5 theorems none" in " ".join(capsys.readouterr().out.split())


def test_the_control_reads_the_feedback_of_others_that_fits(monkeypatch):
    """Of three theorems the feedback on t3 fits no prompt of t2; alone, none has a control."""
    read = []

    def attempts(generator, params, farm, theorems, prompts, sampling):
        if sampling.stream == "teacher gap":
            read.append([t.id for t in theorems])
        failed = Verdict("failed")
        return [[(t, attempt(t, 0), failed)] for t in theorems]

    class Short:
        def student(self, theorem):
            return (theorem.id, None)

        def teacher(self, theorem, feedback):
            if theorem.id != "t3" and feedback.messages == ("about t3",):
                return None, 1
            return (theorem.id, feedback.messages[0]), 0

    async def provider(groups, context):
        return [[Feedback((f"about {t.id}",), "test") for t, _, _ in g] for g in groups]

    monkeypatch.setattr(evaluation, "attempt", attempts)
    generator = types.SimpleNamespace(prompts=Short())

    def rates(theorems):
        rate = evaluation.teacher_solve_rate
        return asyncio.run(rate(generator, None, None, provider, theorems, SAMPLING))

    assert set(rates(THEOREMS[2:])) == {"feedback", "none", "shuffled"}
    assert read == [["t2", "t3", "t4"], ["t2", "t3", "t4"], ["t3", "t4"]]
    assert set(rates(THEOREMS[2:3])) == {"feedback", "none"}


def test_lean_checks_an_attempt_while_others_are_written(monkeypatch):
    """Before whatever training waits for; the groups are in order whatever ends first."""
    asked, when = [], []

    class Farm:
        def submit(self, theorem, candidate, urgent, more_follow):
            asked.append((theorem.id, candidate.text, urgent))
            done = concurrent.futures.Future()
            done.set_result(Verdict("proved" if candidate.text == " a1" else "failed"))
            return done

    def generate(generator, params, requests, sampling):
        assert (params, sampling) == ("policy", SAMPLING)
        for place, sample in ((1, 1), (0, 1), (1, 0), (0, 0)):
            theorem, prompt, name = requests[place]
            assert prompt == [place] and name == theorem.id
            yield place, attempt(theorem, sample, f" {'ab'[place]}{sample}")
            when.append(len(asked))

    monkeypatch.setattr(evaluation, "generate", generate)
    two = THEOREMS[:2]
    groups = evaluation.attempt(GENERATOR, "policy", Farm(), two, [[0], [1]], SAMPLING)
    assert when == [1, 2, 3, 4] and all(urgent for *_, urgent in asked)
    assert [[(t.id, a.sample, v.status) for t, a, v in group] for group in groups] == [
        [("t0", 0, "failed"), ("t0", 1, "proved")],
        [("t1", 0, "failed"), ("t1", 1, "failed")],
    ]


def run_in(workdir, begun_from=None, **settings):
    """A run as `once` and `evaluate_policy` see it."""
    source = begun_from and types.SimpleNamespace(folder=begun_from, is_stage=True)
    config = Config(evaluation=EvaluationConfig(**settings))
    splits = {"train": THEOREMS, "test": THEOREMS}
    return types.SimpleNamespace(
        config=config,
        farm=types.SimpleNamespace(second=None, timeout=LeanConfig().timeout),
        workdir=workdir,
        init_source=source,
        theorems=splits,
        generator=None,
    )


@pytest.fixture
def known_lean(monkeypatch):
    for name in ("prompt_manifest", "lean_manifest"):
        monkeypatch.setattr(evaluation, name, lambda _: {})


@pytest.mark.parametrize("environment", [EnvironmentConfig(), EnvironmentConfig(name="tools")])
def test_known_figures_are_not_measured_again(tmp_path, known_lean, environment):
    policy, measured = Policy("sft", None, "warm"), []

    def ask(run, key="a"):
        run.config = dataclasses.replace(run.config, environment=environment)

        def measure():
            measured.append(key)
            return {"figure": len(measured)}

        return evaluation.once(run, "sft", policy, {"split": key}, THEOREMS, measure)

    first = run_in(tmp_path / "sft")
    assert ask(first) == ask(first) == {"figure": 1}
    # A run that begins with that stage takes them over, and compare finds them in its workdir.
    later = run_in(tmp_path / "fd", begun_from=tmp_path / "sft" / "sft")
    assert ask(later) == {"figure": 1} and ask(later, "b") == {"figure": 2}
    assert len((tmp_path / "fd" / "sft" / "evals.jsonl").read_text().splitlines()) == 2
    assert measured == ["a", "b"]


def test_how_many_theorems_of_each_split(tmp_path, known_lean, monkeypatch):
    def count(**settings):
        asked = {}
        monkeypatch.setattr(
            evaluation, "once", lambda run, n, p, key, ts, m: asked.setdefault(key["split"], ts)
        )
        evaluation.evaluate_policy(run_in(tmp_path, **settings), Policy("sft", None, "warm"))
        assert asked["train"] == THEOREMS[: len(asked["train"])]
        return {split: len(theorems) for split, theorems in asked.items()}

    assert count(theorems=4) == {"train": 4, "test": 4}
    assert count(theorems=4, train_theorems=3) == {"train": 3, "test": 4}
