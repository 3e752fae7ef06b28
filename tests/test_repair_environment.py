"""Repair: whole proofs in turns, with Lean's first error between them."""

import asyncio

import pytest
from lean_samples import GOOD, SWAP, WRONG

from fdjax.environment.protocol import Step, Submission, Turn
from fdjax.environment.repair import Repair
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.extract import NoProof
from fdjax.lean.farm import Farm

PREFILL = " by\n  "
GOOD_TURN, WRONG_TURN = (proof.removeprefix("by\n  ") for proof in (GOOD, WRONG))


def find_proof(text, theorem):
    if "```" in text:
        raise NoProof("no block of Lean")
    return PREFILL + text, range(-len(PREFILL), len(text))


@pytest.fixture(scope="module")
def farm():
    with Farm(EmbeddedBackend(), workers=1) as farm:
        yield farm


def play(environment, *texts: str) -> list[Step]:
    """The steps of an episode; each is also replayed from what a journal keeps."""
    episode, steps = environment.reset(SWAP), []
    for text in texts:
        assert not steps or not steps[-1].done
        step = asyncio.run(environment.step(episode, Turn(text)))
        assert environment.replay(episode, Turn(text), step._replace(episode=None)) == step.episode
        episode = step.episode
        steps.append(step)
    return steps


def test_the_answer_is_the_first_error_with_its_goal(farm):
    first, second = play(Repair(farm, find_proof), WRONG_TURN, GOOD_TURN)
    assert not first.done and first.seconds > 0
    [answer] = first.answers
    assert answer.startswith("Lean refuses exact ⟨a, b⟩\n") and "to have type\n  q" in answer
    assert second.done
    text = PREFILL + GOOD_TURN
    assert second.submission == Submission(text, 1, tuple(range(-6, len(GOOD_TURN))))


def test_an_unsolved_goal_is_shown_within_the_budget(farm):
    words = Repair(farm, find_proof, answer_budget=12, measure=lambda text: len(text.split()))
    [step] = play(words, "constructor\n  exact h.2")
    assert step.answers[0].endswith("⊢ p") and len(step.answers[0].split()) <= 12


def test_the_last_turn_ends_the_episode_without_asking_lean(farm):
    submitted = farm.counters.submitted
    *_, last = play(Repair(farm, find_proof, turns=1), GOOD_TURN)
    assert last.done and last.submission.turn == 0 and last.seconds == 0
    assert farm.counters.submitted == submitted


def test_a_turn_without_a_proof_leaves_the_last_one(farm):
    steps = play(Repair(farm, find_proof), WRONG_TURN, "```", "```")
    assert [step.submission.turn for step in steps] == [0, 0, 0]
    assert steps[1].answers == ("no block of Lean",) and [s.done for s in steps] == [0, 0, 1]
    assert play(Repair(farm, find_proof), "```")[0].submission is None


def test_what_the_audit_refuses_is_answered_and_not_proved(farm):
    [step] = play(Repair(farm, find_proof), "sorry")
    assert not step.done
    assert step.answers == ("Lean refuses sorry\n`sorry` is not a proof",)
