"""Prompts, attempts and the batches made of them."""

import dataclasses

import numpy as np
import pytest

from fdjax.batches import arrays as batching
from fdjax.batches.arrays import Shape
from fdjax.models import tokenizer as tokenizer_lib
from fdjax.rollout.prompts import (
    Prompts,
    PromptTooLong,
    Template,
    bucket,
    left_padded,
    name_hash,
    read_attempt,
)
from fdjax.types import Attempt, Candidate, Feedback, Segment, Theorem

TEMPLATE = Template("{goal}\n:= by\n  ", "{goal}\n{feedback}\n:= by\n  ", " by\n  ")
THEOREM = Theorem(
    id="t1", name="t1", signature="(p q : Prop) (h1 : p ∧ q) : q", goal="h1 : p ∧ q\n⊢ q"
)


@pytest.fixture(scope="module")
def prompts():
    texts = ["h1 : p ∧ q\n⊢ q\n:= by\n  exact h1.2", "intro h2\n  exact ⟨h1, h2⟩"] * 20
    tokenizer = tokenizer_lib.train(texts, 320)
    return Prompts(tokenizer, TEMPLATE, (16, 32), (48,), 16)


def attempt(tokens, offsets, proof, finished=True, origins=("model",)):
    segments = (Segment(tuple(tokens), origins[0]),)
    return Attempt(
        "t1", 0, segments, (-0.5,) * len(tokens), finished, Candidate(proof), tuple(offsets)
    )


def test_template_fills_fields_and_survives_braces():
    theorem = Theorem(id="s", name="s", signature="{p : Prop} : p → p", goal=None)
    assert TEMPLATE.text(theorem, "use {x}") == "{p : Prop} : p → p\nuse {x}\n:= by\n  "


def test_read_attempt_maps_tokens_to_characters(prompts):
    tokenizer = prompts.tokenizer
    ids = tokenizer.encode("exact h1.2") + [tokenizer.eos_id]
    read = read_attempt(prompts, THEOREM, 3, ids, [-1.0] * len(ids), True)
    assert read.candidate.text == " by\n  exact h1.2"
    assert read.tokens == tuple(ids)
    starts = [*read.offsets, len(read.candidate.text)]
    pieces = [read.candidate.text[a:b] for a, b in zip(starts, starts[1:])]
    assert "".join(pieces) == "exact h1.2"
    assert pieces[-1] == ""  # end-of-sequence
    assert pieces[:-1] == [tokenizer.decode([i]) for i in ids[:-1]]


def test_unfinished_attempt_keeps_every_token(prompts):
    ids = prompts.tokenizer.encode("exact h1")
    read = read_attempt(prompts, THEOREM, 0, ids, [0.0] * len(ids), False)
    assert len(read.offsets) == len(ids) and read.candidate.text.endswith("exact h1")


def test_prompt_over_budget_is_refused_by_name():
    assert bucket(5, (8, 4, 16), "it", "field") == 8
    with pytest.raises(PromptTooLong, match=r"theorem t1 takes 20 tokens.*16.*prompt\.buckets"):
        bucket(20, (8, 16), "theorem t1", "prompt.buckets")


def test_prompts_keep_to_their_budgets(prompts):
    long = Theorem(id="long", name="t", signature="p", goal="p ∧ " * 40 + "q")
    short = prompts.student(THEOREM)
    assert prompts.fitting([THEOREM, long]) == [THEOREM] and len(short) <= 32
    with pytest.raises(PromptTooLong, match=r"theorem long takes .*prompt\.student_buckets"):
        prompts.student(long)
    two = prompts.teacher(THEOREM, Feedback(("h1", "⊢ q"), "test"))
    assert two == (TEMPLATE.ids(prompts.tokenizer, THEOREM, "h1\n⊢ q"), 0)
    first = prompts.teacher(THEOREM, Feedback(("h1", "p ∧ " * 40), "test"))
    assert first == (TEMPLATE.ids(prompts.tokenizer, THEOREM, "h1"), 1)
    assert prompts.teacher(THEOREM, Feedback(("p ∧ " * 40,), "test")) == (None, 1)
    assert prompts.teacher(THEOREM, None) == (None, 0)


def test_the_messages_that_fit_are_found_with_a_few_encodings(prompts):
    encoded = []

    def ids(theorem, text=None):
        encoded.append(text)
        return prompts.ids(theorem, text)

    counted = dataclasses.replace(prompts, first_turn=ids)
    texts = ["h1"] * 300
    read, dropped = counted.teacher(THEOREM, Feedback(tuple(texts), "test"))
    assert len(encoded) < 12
    kept = "\n".join(texts[dropped:])
    assert read == prompts.ids(THEOREM, kept) and len(read) <= 48
    assert len(prompts.ids(THEOREM, f"{kept}\nh1")) > 48
    encoded.clear()
    assert counted.teacher(THEOREM, Feedback(("h1", "h2"), "test"))[1] == 0 and len(encoded) == 1


def test_name_hashes_stay_as_they_are():
    """They are part of every random key."""
    assert (name_hash("fd"), name_hash("t1 0")) == (950107039, 1408070526)


def test_left_padding():
    tokens, mask = left_padded([[5, 6], [7, 8, 9], []], 3, pad_id=0)
    np.testing.assert_array_equal(tokens, [[0, 5, 6], [7, 8, 9], [0, 0, 0]])
    np.testing.assert_array_equal(mask, [[0, 1, 1], [1, 1, 1], [0, 0, 0]])


def test_distillation_batch_aligns_the_response_in_both_prompts():
    it = attempt([4, 5, 2], [6, 9, 12], " by\n  ab\n  c")
    row = batching.DistillationRow([1, 8], [1, 8, 9, 9], it, 1, [1.0, 1.0, 0.0])
    batch = batching.distillation_batch([row], Shape(2, 3, 4), 5, pad_id=0)
    np.testing.assert_array_equal(batch.student_tokens[0], [0, 1, 8, 4, 5, 2, 0])
    np.testing.assert_array_equal(batch.student_attention_mask[0], [0, 1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(batch.teacher_tokens[0], [0, 1, 8, 9, 9, 4, 5, 2, 0])
    np.testing.assert_array_equal(batch.weights, [[1, 1, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(batch.response_mask, [[1, 1, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(batch.first_error_token, [1, 4])
    np.testing.assert_array_equal(batch.lines, [[0, 1, 1, 0], [0, 0, 0, 0]])
    assert not batch.student_attention_mask[1].any()


def test_policy_gradient_batch_never_trains_on_tool_tokens():
    tool = Attempt(
        "t1",
        0,
        (Segment((4,)), Segment((5, 6), "tool"), Segment((2,))),
        (-1.0, 0.0, 0.0, -2.0),
        True,
        Candidate("x"),
        (0, 0, 0, 1),
    )
    row = batching.PolicyGradientRow([1, 8], tool, -0.5)
    batch = batching.policy_gradient_batch([row], Shape(2, 2, 5), pad_id=0)
    np.testing.assert_array_equal(batch.loss_mask[0], [1, 0, 0, 1, 0])
    np.testing.assert_array_equal(batch.student_attention_mask[0], [1, 1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(batch.generator_logprobs[0], [-1, 0, 0, -2, 0])
    np.testing.assert_array_equal(batch.advantages, [-0.5, 0])
