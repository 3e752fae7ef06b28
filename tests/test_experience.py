"""A step's rollouts: who is asked for feedback, where and with which parameters, and replay."""

import concurrent.futures
import threading
from typing import NamedTuple

import pytest

from fdjax.rollout import worker as experience
from fdjax.rollout.curriculum import Curriculum, Settings
from fdjax.rollout.journal import Journal
from fdjax.rollout.worker import RolloutWorker
from fdjax.runtime.metrics import Timers
from fdjax.types import Attempt, Candidate, Feedback, Theorem, Verdict

THEOREMS = [Theorem(f"t{i}", "t", ": True") for i in range(3)]


class State(NamedTuple):
    params: str
    teacher: str


class Lean:
    def __init__(self):
        self.asked = 0

    def submit(self, theorem, candidate, *, urgent=False):
        self.asked += 1
        done = concurrent.futures.Future()
        done.set_result(Verdict("failed"))
        return done


class Provider:
    """Says who asks; remembers the contexts."""

    def __init__(self):
        self.contexts = []

    async def __call__(self, groups, context):
        self.contexts.append(context)
        here = threading.current_thread() is threading.main_thread()
        text = f"{'main' if here else 'thread'} {context.params}"
        return [[Feedback((text,), "test") for _ in group] for group in groups]


@pytest.fixture
def collect(tmp_path, monkeypatch):
    def roll_out(prompting, params, theorems, prompts, *, samples, **_):
        for theorem in theorems:
            yield [
                Attempt(theorem.id, g, (), (), True, Candidate(params), ()) for g in range(samples)
            ]

    monkeypatch.setattr(experience, "roll_out", roll_out)

    def worker(provider, provider_samples):
        return RolloutWorker(
            prompting=None,
            farm=Lean(),
            provider=provider,
            journal=Journal(tmp_path),
            curriculum=Curriculum(THEOREMS, 2, 0, Settings()),
            prompts={t.id: [1] for t in THEOREMS},
            samples_per_prompt=2,
            temperature=1.0,
            seed=0,
            stream="fd",
            timers=Timers(),
            provider_samples=provider_samples,
        )

    return worker


def texts(groups):
    return {feedback.text for group in groups for *_, feedback in group}


@pytest.mark.parametrize("samples", [True, False])
def test_a_policy_that_writes_is_the_one_that_learns(collect, samples):
    """It writes on the caller's thread, with the parameters of the step that learns; a provider
    that needs no parameters is asked in the thread that waits for Lean.
    """
    provider = Provider()
    worker = collect(provider, samples)
    waiting = [worker.launch(step, State("launched", "")) for step in (0, 1)]
    groups = waiting[0](State("learning", "average"))
    assert texts(groups) == {"main learning" if samples else "thread None"}
    assert {attempt.candidate.text for group in groups for _, attempt, *_ in group} == {"launched"}
    waiting[1](State("later", "average"))
    assert [(m.stream, m.step) for m in provider.contexts] == [("fd", 0), ("fd", 1)]
    wanted = ["learning", "later"] if samples else [None, None]
    assert [m.params for m in provider.contexts] == wanted
    assert provider.contexts[0].teacher_params == ("average" if samples else None)
    worker.close()


@pytest.mark.parametrize("samples", [True, False])
def test_what_the_journal_holds_is_not_asked_again(collect, samples):
    worker = collect(Provider(), samples)
    before = worker.launch(0, State("one", ""))(State("one", ""))
    worker.close()
    resumed = collect(Provider(), samples)
    assert resumed.launch(0, State("two", ""))(State("two", "")) == before
    assert not resumed.provider.contexts and not resumed.farm.asked
    resumed.close()


def test_nobody_reads_feedback(collect):
    worker = collect(None, False)
    groups = worker.launch(0, State("one", ""))(State("one", ""))
    assert [[f for *_, f in group] for group in groups] == [[None, None]] * 2
    assert "feedback" not in worker.journal.read(0)
    worker.close()
