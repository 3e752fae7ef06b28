"""Costs against counts by hand, against the model's own arrays, and against what XLA counts."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny_updates import distillation, policy_gradient

from fdjax.models import lora, transformer
from fdjax.models.config import ModelConfig
from fdjax.objectives.combined import Combined, Part
from fdjax.objectives.distillation import DistillationBatch
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.objectives.supervised import Supervised, SupervisedBatch
from fdjax.reporting import costs
from fdjax.reporting.costs import (
    added,
    amount,
    cost_columns,
    forward_flops,
    of_rollouts,
    of_scoring,
    of_update,
    total,
)
from fdjax.types import Attempt, Candidate, Feedback, Segment, Theorem, Verdict

MODEL = ModelConfig(
    vocab_size=50, width=24, num_layers=3, num_heads=4, num_kv_heads=2, head_dim=8, mlp_width=40
)


def by_hand(start, end, logits, model=MODEL, frozen=1, trained=1, seen=1):
    """Token by token, matrix by matrix, as the parameters stand in the model itself. The last three
    count the uses of each: a frozen matrix, an adapter's matrix, and what attention computes.
    """
    params = jax.eval_shape(lambda k: transformer.init(model, k), jax.random.key(0))
    adapters, base = lora.split(params) if model.lora_rank else ({}, params)
    kernels, small = (
        [
            x.shape
            for path, x in jax.tree_util.tree_leaves_with_path(tree.get("layers", {}))
            if jax.tree_util.keystr(path).endswith(("['kernel']", "['a']", "['b']"))
        ]
        for tree in (base, adapters)
    )
    assert len(kernels) == 7 and len(small) == 2 * len(adapters.get("layers", {}))
    assert all(shape[0] == model.num_layers for shape in kernels + small)
    flops = 0
    for position in range(start, end):
        for times, shapes in ((frozen, kernels), (trained, small)):
            for layers, rows, columns in shapes:
                flops += times * 2 * layers * rows * columns
        for _ in range(model.num_layers * model.num_heads):
            flops += seen * 2 * 2 * model.head_dim * (position + 1)  # scores, values by weights
    return flops + frozen * logits * 2 * int(np.prod(params["embedding"].shape))


@pytest.mark.parametrize("start, end, logits", [(0, 1, 0), (0, 17, 5), (6, 9, 3)])
def test_a_forward_pass_counted_by_hand(start, end, logits):
    assert forward_flops(MODEL, start, end, logits=logits) == by_hand(start, end, logits)


@pytest.mark.parametrize("start, end, window", [(0, 17, 5), (3, 9, 5), (7, 12, 5), (0, 4, 5)])
def test_windowed_layers_see_their_window(start, end, window):
    model = dataclasses.replace(MODEL, window=window, window_pattern=(True, True, False))
    saved = sum(max(0, position + 1 - window) for position in range(start, end))
    assert forward_flops(model, start, end, logits=2) == (
        by_hand(start, end, 2) - 2 * 4 * MODEL.num_heads * MODEL.head_dim * saved
    )


def test_a_forward_pass_as_xla_counts_it():
    """XLA computes the masked half of the scores, norms and activations too."""
    model = dataclasses.replace(MODEL, width=64, mlp_width=192, scan_unroll=3)
    tokens = np.ones((2, 32), np.int32)

    def logits(params, tokens):
        hidden = transformer.hidden_states(model, params, tokens, tokens > 0)
        return hidden @ transformer.unembedding(params)

    params = jax.eval_shape(lambda k: transformer.init(model, k), jax.random.key(0))
    counted = jax.jit(logits).lower(params, tokens).compile().cost_analysis()["flops"]
    ours = 2 * forward_flops(model, 0, 32, logits=32)
    assert 0.8 * counted < ours < counted


def test_training_adapters_as_xla_counts_it():
    """XLA computes no gradient for the inputs of the first layer, either."""
    model = dataclasses.replace(
        MODEL, vocab_size=64, width=256, head_dim=32, mlp_width=512, scan_unroll=3, lora_rank=4
    )
    tokens = np.ones((2, 32), np.int32)

    def loss(trained, frozen):
        params = lora.join(trained, frozen)
        hidden = transformer.hidden_states(model, params, tokens, tokens > 0)
        return jax.nn.log_softmax(hidden @ transformer.unembedding(params))[..., 0].sum()

    params = lora.split(jax.eval_shape(lambda k: transformer.init(model, k), jax.random.key(0)))
    counted = jax.jit(jax.grad(loss)).lower(*params).compile().cost_analysis()["flops"]
    assert 0.95 * counted < costs.training_flops(model, tokens > 0, (tokens > 0).sum(1)) < counted


def attempt(*segments, proof="x"):
    segments = tuple(Segment((7,) * n, origin) for n, origin in segments)
    count = sum(len(s.tokens) for s in segments)
    return Attempt("t", 0, segments, (0.0,) * count, True, Candidate(proof), (0,) * count)


def test_rollouts():
    theorem = Theorem("t", "t", ": p")
    feedback = Feedback(("use this",), "test", tokens=11, seconds=0.5)
    lean = {"backend": "embedded", "seconds": 0.25}
    group = [
        (theorem, attempt((4, "model"), proof="a"), Verdict("proved", **lean), feedback),
        (
            theorem,
            dataclasses.replace(
                attempt((2, "model"), (3, "tool"), (1, "model"), proof="b"), tool_seconds=1.5
            ),
            Verdict("failed", **lean),
            None,
        ),
        # The same again: Lean has checked it once. And one whose verdict was cached.
        (theorem, attempt((4, "model"), proof="a"), Verdict("proved", **lean), feedback),
        (
            theorem,
            attempt((1, "model"), proof="c"),
            Verdict("failed", from_cache=True, **lean),
            None,
        ),
    ]
    cost = total([of_rollouts(MODEL, {"t": [1] * 9}, [group])])
    flops = by_hand(0, 9, 0) + 2 * by_hand(9, 13, 4) + by_hand(9, 15, 3) + by_hand(9, 10, 1)
    assert cost == {
        "rollouts": 4,
        "tokens_generated": 4 + 3 + 4 + 1,
        "flops": flops,
        "flops_sampling": flops,
        "flops_feedback": 0,
        "lean_seconds": 0.5 + 1.5,
        "feedback_tokens": 22,
        "feedback_seconds": 1.0,
        "feedback_money": 0.0,
    }
    # FLOPs count what the policy itself wrote, not another model's tokens.
    dear = Feedback((), "llm: a policy", tokens=9, own_flops=7, money=0.02)
    cost = total([of_rollouts(MODEL, {"t": [1]}, [[(*group[0][:3], dear)]])])
    assert cost["feedback_money"] == 0.02 and cost["flops_feedback"] == 7
    assert cost["flops"] == cost["flops_feedback"] + cost["flops_sampling"]


def rows(prompts, responses, prompt=6, response=5):
    """bool[N, prompt + response], left-padded prompts, right-padded responses."""
    return np.array(
        [
            [i >= prompt - p for i in range(prompt)] + [i < r for i in range(response)]
            for p, r in zip(prompts, responses)
        ]
    )


def test_updates():
    mask = rows([3, 6, 0], [5, 2, 0])
    learned = np.zeros((3, 5), bool)
    learned[0, :3] = learned[1, 1] = True
    # No logits are needed of a tool's tokens. The last row is padding.
    forward = by_hand(0, 8, 3) + by_hand(0, 8, 1)

    def cost(objective, batch):
        return {k: v for k, v in total([of_update(MODEL, objective, batch)]).items() if v}

    expected = {"tokens_trained": 4, "flops": 3 * forward, "flops_training": 3 * forward}
    supervised = SupervisedBatch(mask, mask, learned.astype(np.float32))
    assert cost(Supervised(), supervised) == expected
    nothing = np.zeros((3, 5))
    rewarded = PolicyGradientBatch(mask, mask, learned, nothing, nothing, np.ones(3))
    assert cost(policy_gradient(), rewarded) == expected
    # FD's metrics are over all tokens that the model wrote: of the first row without a tool's.
    wrote = mask[:, -5:] & (np.arange(5) != 3)
    rewarded_forward, forward = forward, by_hand(0, 8, 4) + by_hand(0, 8, 2)
    teacher = by_hand(0, 9, 4) + by_hand(0, 4, 2)
    teacher_mask = rows([4, 2, 0], [5, 2, 0])
    values = {f: nothing for f in DistillationBatch._fields} | {
        "student_attention_mask": mask,
        "teacher_attention_mask": teacher_mask,
        "response_mask": wrote,
        "weights": learned * 0.3,
    }
    batch = DistillationBatch(**values)
    assert cost(distillation(), batch) == {
        "tokens_trained": 4,
        "flops": 3 * forward + teacher,
        "flops_training": 3 * forward,
        "flops_teacher": teacher,
    }
    trust_region = cost(distillation(trust_rate=0.1), batch)
    assert trust_region["flops_teacher"] == 2 * teacher
    logits = by_hand(0, 0, 4 + 2)  # of the student and of the teacher
    weighed = cost(distillation(ratio_mean="sequence"), batch)
    assert weighed["flops_teacher"] == teacher + 2 * logits
    # Both at once, for two epochs; and the scores of two other policies.
    both = Combined((Part("a", 1.0, distillation()), Part("b", 0.5, policy_gradient())))
    twice = total([of_update(MODEL, both, {"a": batch, "b": rewarded}, epochs=2)])
    assert twice == {
        "tokens_trained": 2 * 8,
        "flops": 2 * (3 * (forward + rewarded_forward) + teacher),
        "flops_training": 2 * 3 * (forward + rewarded_forward),
        "flops_teacher": 2 * teacher,
    }
    assert total([of_scoring(MODEL, rewarded, 2)])["flops"] == 2 * rewarded_forward


def test_adapters():
    """Gradients pass through the frozen matrices, and are taken of the adapters alone."""
    model = dataclasses.replace(MODEL, lora_rank=4, lora_targets=("q_proj", "o_proj", "down_proj"))
    assert forward_flops(model, 3, 9, logits=2) == by_hand(3, 9, 2, model) > by_hand(3, 9, 2)
    mask, nothing = rows([3, 6, 0], [5, 2, 0]), np.zeros((3, 5))
    batch = PolicyGradientBatch(mask, mask, mask[:, -5:], nothing, nothing, np.ones(3))
    cost = total([of_update(model, policy_gradient(), batch)])
    times = {"model": model, "frozen": 2, "trained": 3, "seen": 3}
    assert cost["flops_training"] == by_hand(0, 8, 5, **times) + by_hand(0, 8, 2, **times)
    scored = total([of_scoring(model, batch, 1)])["flops"]
    assert scored == by_hand(0, 8, 5, model) + by_hand(0, 8, 2, model)


def test_sums_over_lines():
    lines = [
        {"step": 0, "cost/flops": 3, "loss": 1.0},
        {"step": 1},
        {"step": 2, "cost/flops": 4, "cost/rollouts": 8},
    ]
    assert total(lines) == {"flops": 7, "rollouts": 8} and total([{"loss": 1.0}]) == {}
    metrics = {"loss": 1.0, "cost/flops": 1}
    assert added(metrics, {"cost/flops": 2, "cost/rollouts": 5}) == {
        "loss": 1.0,
        "cost/flops": 3,
        "cost/rollouts": 5,
    }
    assert [amount(x) for x in (12800, 0.25, 3.0, 2.5e15, 412.6)] == [
        "12,800",
        "0.25",
        "3",
        "2.5e+15",
        "413",
    ]
    totals = [{"flops": 3e9, "rollouts": 0}, {"flops": 1, "feedback_money": 0.5}]
    assert cost_columns(totals) == (["FLOPs", "feedback money"], [["3e+09", "0"], ["1", "0.5"]])
