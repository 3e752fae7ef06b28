"""Attempts of several turns through generation: what they depend on, their budgets, their log."""

import dataclasses
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine_runs import TINY
from rollouts import THEOREMS
from tiny_model import random_params
from toy_episodes import Talkative, Toy, episodes, toy_generator

from fdjax.environment.protocol import Step, Submission
from fdjax.models import transformer
from fdjax.rollout import engine
from fdjax.rollout.episodes import Conversations, StepLog, offset_in, step_from_json, step_to_json
from fdjax.rollout.waiting import Written
from fdjax.runtime import sharding
from fdjax.runtime.metrics import Timers
from fdjax.types import Attempt


@pytest.fixture(scope="module")
def generator():
    return toy_generator(TINY)


@pytest.fixture(scope="module")
def params(generator):
    return random_params(generator.model)


@pytest.fixture(scope="module")
def groups(generator, params):
    return episodes(generator, params)


def segments(groups) -> list:
    return [attempt.segments for group in groups for attempt in group]


def all_attempts(groups) -> list[Attempt]:
    return [attempt for group in groups for attempt in group]


# --- What an attempt depends on ------------------------------------------------------------------


def test_the_clock_changes_nothing(generator, params, groups):
    """Not a bit: answers come at any time, in any order."""
    for delay in (0.003, 0.02):
        slow = dataclasses.replace(generator.episodes, environment=Toy(delay=delay))
        assert episodes(dataclasses.replace(generator, episodes=slow), params) == groups


@pytest.mark.parametrize(
    "how",
    [
        {"slots": 1},  # no row of the store is free for one that waits
        {"slots": 3},
        {"slots": 12, "lag": 3},
        {"slots": 64, "chunk": 7},
        {"slots": 16, "chunk": 5, "lag": 2},
    ],
    ids=str,
)
def test_tokens_depend_neither_on_slots_nor_on_chunks(params, groups, how):
    other = toy_generator(TINY, **how)
    assert segments(episodes(other, params)) == segments(groups)


def test_tokens_depend_on_no_other_episode(generator, params, groups):
    assert segments(episodes(generator, params, count=2)) == segments(groups[:2])


def test_eight_devices_write_as_one(generator, params, groups):
    mesh = sharding.make_mesh(replica=2, fsdp=2, tensor=2)
    split = jax.device_put(params, sharding.tree_shardings(params, mesh))
    assert segments(episodes(dataclasses.replace(generator, mesh=mesh), split)) == segments(groups)


def test_a_slot_that_waits_is_given_to_another(generator, params, monkeypatch):
    """More episodes are under way than there are slots, and some go on in another slot."""
    begun, places = [], {}
    insert = engine.insert

    def inserting(slots, read, new, key):
        for slot, drawn, *sample in np.stack(
            [new.slot_M, new.drawn_M, new.name_M.astype(np.int64), new.sample_M]
        ).T.tolist():
            if slot < len(slots.token_S):
                begun.append((tuple(sample), drawn))
                places.setdefault(tuple(sample), []).append(slot)
        return insert(slots, read, new, key)

    monkeypatch.setattr(engine, "insert", inserting)
    episodes(generator, params)
    first_again = next(i for i, (_, drawn) in enumerate(begun) if drawn)
    last_new = max(i for i, (_, drawn) in enumerate(begun) if not drawn)
    assert first_again < last_new
    assert any(len(set(slots)) > 1 for slots in places.values())


# --- Against a full forward pass -----------------------------------------------------------------


@pytest.fixture(scope="module")
def forward(generator, params):
    """Per attempt: log-probabilities [n, V] at its tokens, by one pass over prompt and response."""
    length = 64 + 48

    @jax.jit
    def logprobs(tokens):
        mask = jnp.ones((1, length), bool)
        hidden = transformer.hidden_states(generator.model, params, tokens[None], mask)[0]
        return jax.nn.log_softmax(hidden @ transformer.unembedding(params))

    def of(prompt, attempt):
        ids = [*prompt, *attempt.tokens]
        logits = logprobs(jnp.array(ids + [0] * (length - len(ids))))
        return np.asarray(logits)[len(prompt) - 1 : len(ids) - 1]

    return of


def theorems_prompts(generator):
    return [generator.prompts.student(theorem) for theorem in THEOREMS]


def test_log_probabilities_are_those_of_a_full_forward_pass(generator, groups, forward):
    entropies = []
    for prompt, group in zip(theorems_prompts(generator), groups):
        for attempt in group:
            expected = forward(prompt, attempt)
            chosen = expected[np.arange(len(attempt.tokens)), attempt.tokens]
            by_model = np.array(attempt.trained)
            np.testing.assert_allclose(
                np.array(attempt.logprobs)[by_model], chosen[by_model], atol=1e-4
            )
            assert not np.array(attempt.logprobs)[~by_model].any()
            entropy = -(np.exp(expected) * expected).sum(-1)[by_model].mean()
            entropies.append(abs(entropy - attempt.entropy))
    assert max(entropies) < 1e-4
    assert max(attempt.turns for attempt in all_attempts(groups)) == 3


def test_greedy_turns_are_those_of_a_full_forward_pass(generator, params, forward):
    greedy = episodes(generator, params, temperature=0.0)
    several = 0
    for prompt, [attempt, *others] in zip(theorems_prompts(generator), greedy):
        likeliest = forward(prompt, attempt).argmax(-1)
        by_model = np.array(attempt.trained)
        np.testing.assert_array_equal(np.array(attempt.tokens)[by_model], likeliest[by_model])
        assert all(other.tokens == attempt.tokens for other in others)
        several += attempt.turns > 1
    assert several


# --- Budgets -------------------------------------------------------------------------------------


def test_turns_and_tokens_are_bounded(generator, groups):
    found = all_attempts(groups)
    for attempt in found:
        assert 1 <= attempt.turns <= 3 and len(attempt.tokens) <= 48
        assert [s.origin for s in attempt.segments[::2]] == ["model"] * attempt.turns
        assert [s.origin for s in attempt.segments[1::2]] == ["tool"] * (attempt.turns - 1)
        assert all(len(s.tokens) <= 10 for s in attempt.segments if s.origin == "model")
        assert attempt.tool_seconds == 0.25 * attempt.turns
        stop = attempt.tokens[-1] in generator.episodes.dialogue.stop_ids
        assert stop or not attempt.finished
    assert {attempt.turns for attempt in found} == {1, 2, 3}
    assert {attempt.finished for attempt in found} == {True, False}
    # A turn is cut by what is left of the response; one that its budget cut is answered.
    cut = [a for a in found for s in a.segments[:-1:2] if len(s.tokens) == 10]
    assert cut and any(len(a.tokens) == 48 for a in found)


def test_an_answer_that_does_not_fit_ends_an_episode_at_the_turn_before(params):
    long = Toy(ends=0, words=("no " * 12,))
    for attempt in all_attempts(episodes(toy_generator(TINY, long), params)):
        assert attempt.segments[-1].origin == "model" and not attempt.finished
        assert attempt.turns < 3  # two such answers do not fit
    short = toy_generator(TINY, Toy(ends=0, words=("no",)), min_turn_tokens=30)
    for attempt in all_attempts(episodes(short, params)):
        left = 48 - sum(len(s.tokens) for s in attempt.segments[:2])
        assert attempt.turns == 1 or left >= 30


def test_answers_of_no_tokens(params):
    """As a template's may be. The last turns have just the tokens that are left."""

    class Silent(Talkative):
        def answers(self, answers, calls=(), *, ended, last_ids=()):
            return []

    made = toy_generator(TINY, Toy(ends=0), turns=12)
    dialogue = Silent(made.prompts.tokenizer, made.prompts.template)
    silent = dataclasses.replace(made.episodes, dialogue=dialogue)
    found = all_attempts(episodes(dataclasses.replace(made, episodes=silent), params))
    assert 46 in {len(a.tokens) - len(a.segments[-1].tokens) for a in found}
    assert all(len(a.tokens) == sum(a.trained) and a.turns > 3 for a in found)


def test_one_turn_is_one_answer(params):
    for attempt in all_attempts(episodes(toy_generator(TINY, turns=1), params)):
        assert attempt.turns == 1 and len(attempt.tokens) <= 10


# --- The attempt ---------------------------------------------------------------------------------


def test_offsets_point_into_the_turn_that_submitted(generator, groups):
    tokenizer, dialogue = generator.prompts.tokenizer, generator.episodes.dialogue
    submitted = 0
    for attempt in all_attempts(groups):
        text, at = attempt.candidate.text, 0
        for segment in attempt.segments:
            offsets = attempt.offsets[at : at + len(segment.tokens)]
            at += len(segment.tokens)
            inside = [o for o in offsets if 0 <= o < len(text)]
            if segment.origin == "tool" or not inside:
                assert all(o < 0 for o in offsets) or all(o >= len(text) for o in offsets)
                continue
            ids = list(segment.tokens)
            body = ids[:-1] if ids[-1] in dialogue.stop_ids else ids
            assert tokenizer.decode(body) == text
            assert list(offsets[: len(body)]) == tokenizer.offsets(body)
            submitted += attempt.refusal is None
        assert list(attempt.offsets) == sorted(attempt.offsets)
        assert len(attempt.offsets) == len(attempt.tokens) == len(attempt.logprobs)
    assert submitted
    refused = [a.refusal for a in all_attempts(groups) if a.refusal]
    cut_off = [reason for reason in refused if "cut off before a turn submitted" in reason]
    assert cut_off and set(refused) - set(cut_off) <= {*Toy().words}


def test_offsets_in_a_text_with_gaps():
    """As of a string in JSON, where a line break takes two characters; and of a prefill."""
    places = [5, 6, 8, 9]
    found = [offset_in(places, start) for start in range(3, 13)]
    assert found == [-2, -1, 0, 1, 1, 2, 3, 4, 5, 6]
    assert [offset_in(range(-2, 3), start) for start in (0, 2, 3)] == [2, 4, 5]
    assert offset_in((), 3) == -1


def test_a_proof_that_no_token_wrote(params):
    class Edited(Toy):
        async def step(self, episode, turn):
            step = await super().step(episode, turn)
            return step._replace(submission=Submission(" by\n  trivial", 0, None))

    for attempt in all_attempts(episodes(toy_generator(TINY, Edited()), params)):
        assert attempt.candidate.text == " by\n  trivial" and attempt.refusal is None
        assert all(offset < 0 for offset in attempt.offsets)


def test_an_end_without_a_proof_says_why(params):
    class Refusing(Toy):
        async def step(self, episode, turn):
            step = await super().step(episode, turn)
            return step._replace(submission=None, done=True, answers=("no tool was called",))

    for attempt in all_attempts(episodes(toy_generator(TINY, Refusing()), params)):
        assert attempt.refusal == "no tool was called" and attempt.turns == 1


# --- The log of steps ----------------------------------------------------------------------------


def recorded(generator, params):
    """(groups, the entries of the log in their order)"""
    entries = []
    return episodes(generator, params, log=StepLog(append=entries.extend)), entries


def test_steps_that_were_kept_are_not_taken_again(params):
    toy = Toy(delay=0.003)
    generator = toy_generator(TINY, toy)
    groups, entries = recorded(generator, params)
    assert len(entries) == len(toy.steps) == sum(a.turns for a in all_attempts(groups))
    for kept in (0, 1, 7, 20, len(entries)):
        toy.steps.clear()
        more = []
        log = StepLog(entries[:kept], more.extend)
        assert episodes(generator, params, log=log) == groups
        assert len(toy.steps) == len(entries) - kept
        assert entries[:kept] + more == entries


def test_a_kept_step_answers_no_other_turn(params):
    """One that was sampled otherwise, as on another machine."""
    toy = Toy()
    generator = toy_generator(TINY, toy)
    _, entries = recorded(generator, params)
    toy.steps.clear()
    other = jax.tree.map(lambda x: 1.3 * x, params)
    expected = episodes(generator, other)
    assert episodes(generator, other, log=StepLog(entries)) == expected


def test_a_kept_step_answers_no_other_history(generator):
    """The same ids in the second turn, behind another first one."""

    class Known(StepLog):
        def get(self, place):
            return Step(None)

    def places(*turns):
        conversations = Conversations(
            generator.episodes, generator.prompts, THEOREMS[:1], [(0, 0)], "s", Known(), Timers()
        )
        for ids in turns:
            nothing = np.zeros(len(ids), np.float32)
            conversations._tell(Written(0, np.array(ids), nothing, nothing, False))
            yield conversations._open[0].place

    first, second = [*places([5], [7])], [*places([6], [7])]
    assert first == [*places([5], [7])] and not set(first) & set(second)


def test_steps_as_json():
    submission = Submission("x", 1, range(3, 9))
    step = Step(None, ("a", "b"), submission, True, 0.5, 2)
    read = step_from_json(step_to_json(step))
    assert read == step._replace(submission=submission._replace(places=[*range(3, 9)]))
    nowhere = step._replace(submission=Submission("x", 0, None))
    assert step_from_json(step_to_json(nowhere)) == nowhere
    assert step_from_json(step_to_json(Step(("state",)))) == Step(None)


def test_an_environment_that_fails_ends_generation(params):
    class Failing(Toy):
        async def step(self, episode, turn):
            if len(self.steps) == 9:
                raise OSError("no Lean here")
            return await super().step(episode, turn)

    with pytest.raises(OSError, match="no Lean here"):
        episodes(toy_generator(TINY, Failing(delay=0.01)), params)
    assert not [t for t in threading.enumerate() if t.name == "environment"]


# --- Compilations --------------------------------------------------------------------------------


def test_nothing_is_compiled_after_the_first_step(params, caplog):
    """Whatever the lengths of answers and the numbers of those that go on."""
    generator = toy_generator(TINY, slots=8, chunk=3)
    jax.clear_caches()
    with jax.log_compiles(), caplog.at_level("WARNING"):
        episodes(generator, params)
    names = [m for m in caplog.messages if m.startswith("Compiling")]
    assert sum("extend" in m for m in names) == sum("park" in m for m in names) == 1
    assert sum("insert" in m for m in names) == 2  # from prompts, from the store
    caplog.clear()
    wordy = dataclasses.replace(generator.episodes, environment=Toy(words=("a b c d e f", "")))
    other = dataclasses.replace(generator, episodes=wordy)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        episodes(generator, params, step=3, temperature=0.7)
        episodes(other, params, step=4, samples=4)
    assert not [m for m in caplog.messages if m.startswith("Compiling")]
