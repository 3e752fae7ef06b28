"""A step's rollouts: who writes feedback, in which thread, with which parameters; and replay."""

import concurrent.futures
import threading

import pytest

from fdjax.config import CurriculumConfig
from fdjax.rollout import worker as worker_module
from fdjax.rollout.curriculum import Curriculum
from fdjax.rollout.generate import Generator, Sampling
from fdjax.rollout.journal import Journal
from fdjax.rollout.prompts import Prompts, Template
from fdjax.rollout.worker import RolloutWorker
from fdjax.runtime.metrics import Timers
from fdjax.types import Attempt, Candidate, Feedback, Theorem, Verdict

THEOREMS = [Theorem(f"t{i}", "t", ": True") for i in range(3)]


class Tokenizer:
    def encode_prompt(self, text):
        return [1]


class Lean:
    def __init__(self):
        self.submitted = 0

    def submit(self, theorem, candidate, *, urgent=False, more_follow=False):
        assert not urgent
        self.submitted += 1
        done = concurrent.futures.Future()
        done.set_result(Verdict("failed"))
        return done


class Provider:
    """Writes which thread it runs in and whose parameters it got; remembers the contexts."""

    def __init__(self):
        self.contexts = []

    async def __call__(self, groups, context):
        self.contexts.append(context)
        here = threading.current_thread() is threading.main_thread()
        text = f"{'main' if here else 'thread'} {context.params}"
        return [[Feedback((text,), "test") for _ in group] for group in groups]


@pytest.fixture
def with_lean():
    """How many attempts Lean had whenever the next one was asked for."""
    return []


@pytest.fixture
def make_worker(tmp_path, monkeypatch, with_lean):
    farms = []

    def generate(generator, params, requests, sampling, timers, log):
        """The last attempt ends first, as it may."""
        for place in reversed(range(len(requests))):
            for g in reversed(range(sampling.samples)):
                theorem = requests[place].theorem
                yield place, Attempt(theorem.id, g, (), (), True, Candidate(params), ())
                with_lean.append(farms[-1].submitted)

    monkeypatch.setattr(worker_module, "generate", generate)
    prompts = Prompts(Tokenizer(), Template("{goal}", "{goal}"), (8,), (8,), 8)

    def make(provider, policy_writes=False):
        farms.append(Lean())
        return RolloutWorker(
            generator=Generator(None, None, prompts),
            sampling=Sampling(samples=2, temperature=1.0, seed=0, stream="fd"),
            farm=farms[-1],
            curriculum=Curriculum(THEOREMS, 2, 0, CurriculumConfig()),
            journal=Journal(tmp_path),
            timers=Timers(),
            provider_at=lambda step: provider,
            policy_writes=policy_writes,
        )

    return make


def texts(groups):
    return {feedback.text for group in groups for *_, feedback in group}


@pytest.mark.parametrize("policy_writes", [True, False])
def test_a_policy_that_writes_is_the_one_that_learns(make_worker, policy_writes):
    """It writes on the caller's thread, with the parameters of the step that learns; a provider
    that needs no parameters runs in the thread that waits for Lean.
    """
    provider = Provider()
    worker = make_worker(provider, policy_writes)
    pending = [worker.verify(worker.generate(step, "generating")) for step in (0, 1)]
    groups = worker.give_feedback(pending[0], "learning", "average")
    assert texts(groups) == {"main learning" if policy_writes else "thread None"}
    texts_of_attempts = {attempt.candidate.text for group in groups for _, attempt, *_ in group}
    assert texts_of_attempts == {"generating"}
    worker.give_feedback(pending[1], "later", "average")
    assert [(c.stream, c.step) for c in provider.contexts] == [("fd", 0), ("fd", 1)]
    expected = ["learning", "later"] if policy_writes else [None, None]
    assert [c.params for c in provider.contexts] == expected
    assert provider.contexts[0].teacher_params == ("average" if policy_writes else None)
    worker.close()


@pytest.mark.parametrize("policy_writes", [True, False])
def test_what_the_journal_holds_is_not_requested_again(make_worker, policy_writes):
    worker = make_worker(Provider(), policy_writes)
    before = worker.rollout(0, "one")
    worker.close()
    provider = Provider()
    resumed = make_worker(provider, policy_writes)
    assert resumed.rollout(0, "two") == before
    assert not provider.contexts and not resumed.farm.submitted
    resumed.close()


def test_lean_has_an_attempt_while_the_next_is_written(make_worker, with_lean):
    worker = make_worker(None)
    generated = worker.generate(0, "one")
    assert with_lean == [1, 2, 3, 4] and worker.farm.submitted == 4
    assert [[a.sample for a in group] for group in generated.groups] == [[0, 1]] * 2
    groups = worker.give_feedback(worker.verify(generated), "one")
    assert [[attempt for _, attempt, *_ in group] for group in groups] == generated.groups
    assert all(verdict == Verdict("failed") for group in groups for *_, verdict, _ in group)
    worker.close()


def test_attempts_of_the_journal_go_to_lean_if_it_has_no_verdicts(make_worker, with_lean):
    first = make_worker(None)
    groups = first.generate(0, "one").groups
    first.close()
    resumed = make_worker(None)
    again = resumed.generate(0, "two")
    assert again.groups == groups and resumed.farm.submitted == 4 == len(with_lean)
    assert len(resumed.give_feedback(resumed.verify(again), "two")) == 2
    resumed.close()


def test_without_a_provider_there_is_no_feedback(make_worker):
    worker = make_worker(None, False)
    groups = worker.rollout(0, "one")
    assert [[f for *_, f in group] for group in groups] == [[None, None]] * 2
    assert "feedback" not in worker.journal.read(0)
    worker.close()
