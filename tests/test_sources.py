"""Batches of FD, GRPO and both together, of attempts, verdicts and feedback, without a device."""

from types import SimpleNamespace

import numpy as np
import pytest
from rollouts import THEOREMS, FakeWorker, Steps, attempt, small_generator

from fdjax.config import (
    CombinedStage,
    ConfigError,
    DistillationStage,
    PolicyGradientStage,
    PolicyGradientVariants,
    default,
    read,
)
from fdjax.training import sources
from fdjax.types import Feedback, Message, Verdict


@pytest.fixture(scope="module")
def prompts():
    return small_generator().prompts


def items(prompts):
    """One group: proved, failed, failed without feedback, unfinished, timed out."""
    theorem = THEOREMS[0]
    good = attempt(prompts, theorem, "exact h1")
    proof = good.candidate.text
    error = Message("error", "no", start=proof.index("h1"))
    feedback = Feedback(("use this",), "test")
    return [
        [
            (theorem, good, Verdict("proved"), feedback),
            (theorem, good, Verdict("failed", (error,)), feedback),
            (theorem, good, Verdict("failed", (error,)), None),
            (
                theorem,
                attempt(prompts, theorem, "exact h1", finished=False),
                Verdict("failed", (error,)),
                feedback,
            ),
            (theorem, good, Verdict("timeout"), feedback),
        ]
    ]


# --- Feedback Distillation -----------------------------------------------------------------------


def distillation(groups, **changes):
    """(batch, metrics)"""
    stage = DistillationStage(**changes)
    return sources.make_to_batch(stage, small_generator(), None)(0, groups, None)


@pytest.mark.parametrize("distill_attempts, rows", [("all", 2), ("failed", 1)])
def test_which_attempts_are_distilled(prompts, distill_attempts, rows):
    batch, metrics = distillation(items(prompts), distill_attempts=distill_attempts)
    assert metrics["rows"] == rows
    assert (batch.weights.sum(1) > 0).sum() == rows
    failed = rows - 1  # weights of the failed attempt end with the token of Lean's error
    tokens = items(prompts)[0][1][1].tokens
    wrong = int(batch.first_error_token[failed])
    assert prompts.tokenizer.decode(tokens[wrong : wrong + 1]).strip() == "h1"
    assert (batch.weights[failed] > 0).sum() == wrong + 1 < len(tokens)


def test_successes_weigh_less(prompts):
    weights = distillation(items(prompts), success_weight=0.25)[0].weights
    assert set(weights[0]) == {0.25, 0} and set(weights[1]) == {1, 0}


def test_weights_over_all_tokens(prompts):
    batch, _ = distillation(items(prompts), learn_tokens="all")
    np.testing.assert_array_equal(batch.weights > 0, batch.response_mask)


def test_over_the_budget_whole_messages_are_dropped_and_counted(prompts):
    [group] = items(prompts)
    long = "word " * 500
    groups = [[(*group[1][:3], Feedback((text, long), "test")) for text in ("use this", long)]]
    batch, metrics = distillation(groups)
    assert metrics["messages_dropped"] == 3 and metrics["rows"] == 1
    prompt = batch.teacher_tokens[0, : -batch.weights.shape[1]]
    assert "\nuse this\n" in prompts.tokenizer.decode(prompt.tolist())


def test_feedback_without_messages_is_none(prompts):
    [group] = items(prompts)
    silent = Feedback((), "llm: m", requests=1, failed_requests=1, problems=("llm: timeout",))
    _, metrics = distillation([[(*group[1][:3], silent)]])
    assert metrics["rows"] == 0 and metrics["messages_dropped"] == 0


def test_nothing_to_learn_is_a_batch_without_rows(prompts):
    batch, _ = distillation([items(prompts)[0][2:3]])
    assert batch.weights.shape == (0, batch.lines.shape[1])


def test_unknown_attempts_are_named():
    config = default()
    config.fd.distill_attempts = "some"
    message = "fd.distill_attempts is 'some', must be one of all, failed"
    with pytest.raises(ConfigError, match=message):
        read(config)


# --- GRPO ----------------------------------------------------------------------------------------


def grpo_stage(variants=None, **changes):
    fields = dict(prompts_per_step=2, samples_per_prompt=5) | changes
    return PolicyGradientStage(variants=PolicyGradientVariants(**variants or {}), **fields)


def policy_gradient(groups, score=None, **changes):
    """(batch, metrics)"""
    state = SimpleNamespace(params="params", teacher="reference")
    to_batch = sources.make_to_batch(grpo_stage(**changes), small_generator(), score)
    return to_batch(0, groups, state)


def test_policy_gradient_leaves_out_what_lean_could_not_decide(prompts):
    [group] = items(prompts)
    batch, metrics = policy_gradient([group, group[:1] * 5])
    # Rewards 1, 0, 0, 0 and one undecided: advantages .75 and -.25; the other
    # group has zero variance and so none.
    np.testing.assert_allclose(batch.advantages, [0.75, -0.25, -0.25, -0.25])
    assert metrics["rows"] == 4


def test_a_kl_keeps_zero_variance_groups(prompts):
    [group] = items(prompts)
    scored = []

    def score(params, batch):
        scored.append(params)
        return np.full(batch.loss_mask.shape, -0.3, np.float32)

    batch, metrics = policy_gradient([group, group[:1] * 5], score, kl_coefficient=0.1)
    assert metrics["rows"] == 9 and scored == ["reference"]
    assert (batch.reference_logprobs == np.float32(-0.3)).all()
    np.testing.assert_array_equal(batch.advantages[4:], 0)
    assert batch.loss_mask[:9].any(1).all() and not batch.loss_mask[9:].any()


def test_k1_is_taken_off_the_reward(prompts):
    """verl's kl in reward: the sum over the response of log q_old - log q_ref, then group means."""
    [group] = items(prompts)
    rng = np.random.default_rng(0)
    scores = {}

    def score(params, batch):
        scores[params] = rng.uniform(-2, -1, batch.loss_mask.shape).astype(np.float32)
        return scores[params]

    for std in (False, True):
        batch, _ = policy_gradient(
            [group],
            score,
            variants={"kl": "k1"},
            kl_coefficient=0.2,
            epochs=2,
            normalize_std=std,
        )
        np.testing.assert_array_equal(batch.old_logprobs, scores["params"])
        distances = ((scores["params"] - scores["reference"]) * batch.loss_mask).sum(1)[:4]
        rewards = np.array([1, 0, 0, 0]) - 0.2 * distances
        expected = rewards - rewards.mean()
        expected /= rewards.std(ddof=1) + 1e-4 if std else 1
        np.testing.assert_allclose(batch.advantages[:4], expected, rtol=1e-5)
        np.testing.assert_array_equal(batch.advantages[4:], 0)


@pytest.mark.parametrize("changes", [{"minibatches": 2}, {"epochs": 2}, {"is_clip": 2.0}])
def test_old_logprobs_come_from_the_trainer_where_they_must(prompts, changes):
    [group] = items(prompts)
    score = lambda params, batch: np.full(batch.loss_mask.shape, -7, np.float32)  # noqa: E731
    batch, _ = policy_gradient([group], score, **changes)
    assert (batch.old_logprobs == -7).all() and (batch.generator_logprobs != -7).all()
    batch, _ = policy_gradient([group])
    np.testing.assert_array_equal(batch.old_logprobs, batch.generator_logprobs)


def test_truncated_attempts_are_masked_and_overlong_ones_cost(prompts):
    [group] = items(prompts)
    cut = [i for i, (_, a, _, _) in enumerate(group) if not a.finished]
    plain, plain_metrics = policy_gradient([group])
    masked, masked_metrics = policy_gradient([group], variants={"mask_truncated": True})
    assert cut == [3] and masked_metrics["rows"] == plain_metrics["rows"] - 1
    np.testing.assert_allclose(masked.advantages[:3], plain.advantages[:3])
    lengths = np.array([len(a.tokens) for _, a, _, _ in group[:4]])
    budget = prompts.response_length
    buffer = budget - int(lengths.min())  # so that the longer ones run into it
    penalty = {"overlong_buffer": buffer, "overlong_penalty": 0.5}
    batch, _ = policy_gradient([group], variants=penalty)
    rewards = np.array([1, 0, 0, 0]) - 0.5 * np.maximum(lengths - (budget - buffer), 0) / buffer
    assert len(set(rewards)) > 2
    np.testing.assert_allclose(batch.advantages[:4], rewards - rewards.mean(), rtol=1e-5)


def test_zero_variance_groups_are_refilled_until_there_are_enough(prompts):
    [informative] = items(prompts)
    uniform = informative[:1] * 5

    def step_of(max_refills, *groups):
        """`groups`: those of the step's rollout, then those of each refill."""
        of_rollout = dict(enumerate(groups))
        worker = FakeWorker(small_generator(), lambda _, refill: of_rollout.get(refill, []))
        stage = grpo_stage(variants={"max_refills": max_refills}, steps=9)
        source = sources.from_rollouts(stage, worker, None, start=0)
        batch, metrics = Steps(source, worker)(0)
        return worker, metrics, batch

    # Enough at once: there is no refill.
    worker, metrics, _ = step_of(3, [informative, informative])
    assert worker.generated == [(0, 0)] and metrics["refills"] == 0 and metrics["groups"] == 2
    # Enough after two; what is over is left.
    worker, metrics, batch = step_of(
        3, [uniform, informative], [uniform, uniform], [informative, informative]
    )
    assert worker.generated == [(0, 0), (0, 1), (0, 2)] and worker.noted == [(0, 6)]
    assert metrics["refills"] == 2 and metrics["groups"] == 2 and metrics["rows"] == 8
    assert metrics["zero_variance_groups"] == 0.5
    assert metrics["solve_rate"] == pytest.approx(18 / (30 - metrics["unverified"]))
    assert metrics["cost/rollouts"] == 30
    assert (batch.advantages != 0).sum() == 8
    # The bound.
    worker, metrics, _ = step_of(
        1, [uniform, informative], [uniform, uniform], [informative, informative]
    )
    assert worker.generated == [(0, 0), (0, 1)] and metrics["groups"] == 1
    # No theorems are left; no group at all.
    worker, metrics, batch = step_of(3, [uniform, uniform], [uniform])
    assert metrics["refills"] == 1 and metrics["groups"] == 0 and metrics["rows"] == 0
    assert not batch.loss_mask.any()
    # Without a bound nothing is refilled, nor counted.
    worker, metrics, _ = step_of(0, [uniform, informative])
    assert worker.generated == [(0, 0)] and "refills" not in metrics and "groups" not in metrics


# --- Both, and metrics ---------------------------------------------------------------------------


def test_parts_of_a_combined_stage_learn_from_the_same_groups_together_or_in_turn(prompts):
    [group] = items(prompts)
    fields = dict(prompts_per_step=1, samples_per_prompt=5)

    def to_batch(**changes):
        return sources.make_to_batch(CombinedStage(**fields | changes), small_generator(), None)

    batch, metrics = to_batch()(0, [group], None)
    assert batch.keys() == {"distillation", "policy_gradient"}
    assert metrics["rows"] == 2 + 4
    alone, _ = distillation([group], **fields)
    np.testing.assert_array_equal(batch["distillation"].weights, alone.weights)
    in_turns = to_batch(turns=("distillation", "policy_gradient", "policy_gradient"))
    turns = [list(in_turns(step, [group], None)[0]) for step in range(4)]
    assert turns == [["distillation"], ["policy_gradient"], ["policy_gradient"], ["distillation"]]


def test_rollout_metrics(prompts):
    [group] = items(prompts)
    metrics = sources.rollout_metrics([group, group[:1] * 5])
    assert metrics["solve_rate"] == pytest.approx(6 / 9)  # one is unverified
    assert metrics["unverified"] == 1 and metrics["zero_variance_groups"] == 0.5
    assert metrics["policy_entropy"] == pytest.approx(0.3)
