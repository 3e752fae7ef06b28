"""What stages make of theorems, attempts, verdicts and feedback, without a device."""

import asyncio
import contextlib
import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from fdjax import benchmark as synthetic
from fdjax.config import ConfigError, combined_stage, default, part
from fdjax.feedback.oracle import oracle
from fdjax.models import tokenizer as tokenizer_lib
from fdjax.models.config import ModelConfig
from fdjax.rollout.curriculum import in_epochs
from fdjax.rollout.generate import Prompting
from fdjax.rollout.prompts import Template, read_attempt
from fdjax.runtime import sharding
from fdjax.training import sources as stages
from fdjax.training.supervised_sources import expert_iteration, supervised
from fdjax.types import Feedback, FeedbackContext, Message, Verdict

CONFIG = default()
THEOREMS = synthetic.generate(7, 40)


@pytest.fixture(scope="module")
def prompting():
    prompt = CONFIG.prompt
    template = Template(prompt.student, prompt.teacher, prompt.prefill)
    texts = [template.text(t, "a proof is after use") + t.reference for t in THEOREMS]
    tokenizer = tokenizer_lib.train(texts, 400)
    return Prompting(
        model=ModelConfig(vocab_size=tokenizer.vocab_size),
        tokenizer=tokenizer,
        template=template,
        student_buckets=(64,),
        teacher_buckets=(96,),
        response_length=48,
        mesh=sharding.make_mesh(),
    )


def attempt(prompting, theorem, text, finished=True):
    ids = prompting.tokenizer.encode(text) + [prompting.tokenizer.eos_id] * finished
    return read_attempt(
        prompting.tokenizer, prompting.template, theorem, 0, ids, [-0.1] * len(ids), finished, 0.3
    )


def test_an_epoch_takes_every_item_once():
    taken = [i for step in range(6) for i in in_epochs(12, 4, step, (0, 1))]
    assert sorted(taken[:12]) == sorted(taken[12:]) == list(range(12))
    assert taken[:12] != taken[12:]
    assert in_epochs(12, 4, 4, (0, 1)) == taken[16:20] != in_epochs(12, 4, 4, (1, 1))
    assert len(in_epochs(3, 8, 0, (0,))) == 8  # a batch may be larger than an epoch


class FixedAttempts:
    """Stands in for a Collector: every theorem attempted once, all of them failing."""

    theorems = THEOREMS
    launched = 0

    def __init__(self, prompting):
        self.prompting = prompting
        self.prompts = {t.id: prompting.student_prompt(t) for t in self.theorems}

    def launch(self, step, state):
        self.launched += 1
        groups = []
        for theorem in self.theorems:
            tried = attempt(self.prompting, theorem, "exact nonsense")
            [[said]] = asyncio.run(
                oracle("correction")(
                    [[(theorem, tried, Verdict("failed"))]], FeedbackContext("sft", step)
                )
            )
            groups.append([(theorem, tried, Verdict("failed"), said)])
        return lambda state: groups

    def cost(self, groups):
        return {"cost/rollouts": len(groups)}


def test_supervised_rows_are_plain_and_later_also_answers_to_feedback(prompting):
    config = CONFIG.sft.copy_and_resolve_references()
    config.update(batch_size=20, feedback_start=2, feedback_fraction=0.6)
    worker = FixedAttempts(prompting)
    source = supervised(config, prompting, worker, seed=0)
    for index, told in ((0, 0), (1, 0), (2, 12), (3, 12)):
        step = source(index, None)
        tokens, mask, weights = step.batch
        budget = weights.shape[1]
        answers = 0
        for row in range(20):
            prompt = prompting.tokenizer.decode(tokens[row, :-budget][mask[row, :-budget]].tolist())
            answer = tokens[row, -budget:][weights[row] > 0].tolist()
            assert answer[-1] == prompting.tokenizer.eos_id and prompt.endswith(":= by\n  ")
            if "a proof is" in prompt:
                answers += 1
                shown = prompt.split("a proof is\n  ")[1].removesuffix("\n:= by\n  ")
                assert shown == prompting.tokenizer.decode(answer[:-1])
        assert answers == told
        np.testing.assert_array_equal(mask[:, -budget:], weights > 0)
        assert step.metrics.get("cost/rollouts", 0) == (len(THEOREMS) if index == 2 else 0)
    assert worker.launched == 1
    # A run that resumes after `feedback_start` asks for the attempts of that same step.
    again = supervised(config, prompting, FixedAttempts(prompting), seed=0)(3, None)
    np.testing.assert_array_equal(again.batch.tokens, tokens)
    assert "cost/rollouts" not in again.metrics  # step 2 has counted them


def test_rows_over_the_budget_are_counted_on_the_console(prompting, capsys):
    lengths = [len(prompting.tokenizer.encode(t.reference[len(" by\n  ") :])) for t in THEOREMS]
    short = dataclasses.replace(prompting, response_length=min(lengths) + 1)
    kept = lengths.count(min(lengths))
    step = supervised(CONFIG.sft, short, FixedAttempts(short), seed=0)(0, None)
    assert len({row.tobytes() for row in step.batch.tokens}) <= kept < len(THEOREMS)
    assert f"{40 - kept} of 40 rows are over the token budgets" in capsys.readouterr().out


class Rounds:
    """A Collector whose round r proves what `proofs[r]` says: {theorem's index: texts}."""

    def __init__(self, prompting, *proofs):
        self.prompting, self.proofs, self.launched, self.noted = prompting, proofs, [], []
        self.prompts = {t.id: prompting.student_prompt(t) for t in THEOREMS}
        self.curriculum = SimpleNamespace(
            note=lambda step, groups: self.noted.append(step), metrics=lambda step: {}
        )
        self.cost = lambda groups: {"cost/rollouts": sum(map(len, groups))}

    def launch(self, step, state):
        self.launched.append(step)
        groups = [
            [
                (
                    THEOREMS[i],
                    attempt(self.prompting, THEOREMS[i], text, finished=text != "cut off"),
                    Verdict("failed" if text == "wrong" else "proved"),
                    None,
                )
                for text in texts
            ]
            for i, texts in self.proofs[step].items()
        ]
        return lambda state: groups


def learned_from(prompting, batch):
    """[(prompt, response)] of the batch as text, sorted."""
    budget = batch.weights.shape[1]
    rows = []
    for tokens, mask, weights in zip(*batch):
        assert (weights == mask[-budget:]).all()
        prompt, response = tokens[:-budget][mask[:-budget]], tokens[-budget:][mask[-budget:]]
        rows.append(tuple(prompting.tokenizer.decode(x.tolist()) for x in (prompt, response)))
    return sorted(rows)


def test_expert_iteration_learns_distinct_verified_attempts_the_latest_of_each(prompting):
    config = CONFIG.expert_iteration.copy_and_resolve_references()
    config.update(steps_per_round=2, batch_size=4, per_theorem=2)
    proofs = (
        {0: ["wrong", "cut off"]},
        {0: ["exact h1", "exact  h1", "wrong", "exact h2"], 1: ["rfl"] * 4},
        {0: ["exact h3"] * 2, 1: ["wrong"] * 2, 2: ["intro h\n  exact h", "intro k\n  exact k"]},
    )
    worker = Rounds(prompting, *proofs)
    source = expert_iteration(config, prompting, worker, seed=0)
    steps = [source(i, None) for i in range(6)]
    assert [len(s.batch.tokens) for s in steps] == [4] * 6 and steps[1].batch.weights.sum() == 0
    assert [s.metrics["rows"] for s in steps] == [0, 0, 3, 3, 4, 4]
    assert [s.metrics["theorems_proved"] for s in steps] == [0, 0, 2, 2, 3, 3]
    assert ["solve_rate" in s.metrics for s in steps] == [True, False] * 3
    assert [s.metrics.get("cost/rollouts", 0) for s in steps] == [2, 0, 8, 0, 6, 0]
    assert steps[2].metrics["solve_rate"] == pytest.approx(7 / 8)
    texts = [prompting.template.text(t) for t in THEOREMS]
    first, last = learned_from(prompting, steps[2].batch), learned_from(prompting, steps[5].batch)
    assert set(first) == {(texts[0], "exact h1"), (texts[0], "exact h2"), (texts[1], "rfl")}
    assert last == sorted(
        [
            (texts[0], "exact h2"),
            (texts[0], "exact h3"),
            (texts[1], "rfl"),
            (texts[2], "intro h\n  exact h"),
        ]
    )
    assert worker.launched == worker.noted == [0, 1, 2]

    # A run that resumes in mid-round reads all rounds again; their verdicts are noted already.
    worker = Rounds(prompting, *proofs)
    again = expert_iteration(config, prompting, worker, seed=0)(5, None)
    jax.tree.map(np.testing.assert_array_equal, again, steps[5])
    assert worker.launched == [0, 1, 2] and worker.noted == []


def items(prompting):
    """One group: proved, failed, failed without feedback, unfinished, timed out."""
    theorem = THEOREMS[0]
    good = attempt(prompting, theorem, "exact h1")
    proof = good.candidate.text
    error = Message("error", "no", start=proof.index("h1"))
    told = Feedback(("use this",), "test")
    return [
        [
            (theorem, good, Verdict("proved"), told),
            (theorem, good, Verdict("failed", (error,)), told),
            (theorem, good, Verdict("failed", (error,)), None),
            (
                theorem,
                attempt(prompting, theorem, "exact h1", finished=False),
                Verdict("failed", (error,)),
                told,
            ),
            (theorem, good, Verdict("timeout"), told),
        ]
    ]


@pytest.mark.parametrize("distill_attempts, rows", [("all", 2), ("failed", 1)])
def test_the_gate_of_distillation(prompting, distill_attempts, rows):
    config = CONFIG.fd.copy_and_resolve_references()
    config.distill_attempts, config.row_buckets = distill_attempts, (4,)
    step = stages.distillation(config, prompting)(0, items(prompting), None)
    assert step.metrics["rows"] == rows
    assert (step.batch.weights.sum(1) > 0).sum() == rows
    failed = rows - 1  # weights of the failed attempt end with the token of Lean's error
    tokens = items(prompting)[0][1][1].tokens
    wrong = int(step.batch.first_error_token[failed])
    assert prompting.tokenizer.decode(tokens[wrong : wrong + 1]).strip() == "h1"
    assert (step.batch.weights[failed] > 0).sum() == wrong + 1 < len(tokens)


def test_successes_weigh_less(prompting):
    config = CONFIG.fd.copy_and_resolve_references()
    config.update(distill_attempts="all", success_weight=0.25, row_buckets=(4,))
    weights = stages.distillation(config, prompting)(0, items(prompting), None).batch.weights
    assert set(weights[0]) == {0.25, 0} and set(weights[1]) == {1, 0}


def test_weights_over_all_tokens(prompting):
    config = CONFIG.fd.copy_and_resolve_references()
    config.weights, config.row_buckets = "all", (4,)
    batch = stages.distillation(config, prompting)(0, items(prompting), None).batch
    np.testing.assert_array_equal(batch.weights > 0, batch.response_mask)


def test_over_the_budget_whole_messages_are_dropped_and_counted(prompting):
    config = CONFIG.fd.copy_and_resolve_references()
    config.row_buckets = (4,)
    [group] = items(prompting)
    long = "word " * 500
    told = [[(*group[1][:3], Feedback((text, long), "test")) for text in ("use this", long)]]
    step = stages.distillation(config, prompting)(0, told, None)
    assert step.metrics["messages_dropped"] == 3 and step.metrics["rows"] == 1
    prompt = step.batch.teacher_tokens[0, : -step.batch.weights.shape[1]]
    assert "\nuse this\n" in prompting.tokenizer.decode(prompt.tolist())


def test_feedback_without_messages_is_none(prompting):
    config = CONFIG.fd.copy_and_resolve_references()
    config.row_buckets = (4,)
    [group] = items(prompting)
    silent = Feedback((), "llm: m", requests=1, failed_requests=1, problems=("llm: timeout",))
    step = stages.distillation(config, prompting)(0, [[(*group[1][:3], silent)]], None)
    assert step.metrics["rows"] == 0 and step.metrics["messages_dropped"] == 0


def test_nothing_to_learn_keeps_the_shape(prompting):
    config = CONFIG.fd.copy_and_resolve_references()
    config.row_buckets = (4,)
    batch = stages.distillation(config, prompting)(0, [items(prompting)[0][2:3]], None).batch
    assert batch.weights.sum() == 0 and batch.weights.shape[0] == 4


def grpo_stage(**changes):
    config = CONFIG.grpo.copy_and_resolve_references()
    config.update(dict(prompts_per_step=2, samples_per_prompt=5, row_buckets=(16,)) | changes)
    return config


def policy_gradient(prompting, groups, score=None, **changes):
    state = SimpleNamespace(params="params", teacher="reference")
    return stages.policy_gradient(grpo_stage(**changes), prompting, score)(0, groups, state)


def test_policy_gradient_leaves_out_what_lean_could_not_judge(prompting):
    [group] = items(prompting)
    step = policy_gradient(prompting, [group, group[:1] * 5])
    # Rewards 1, 0, 0, 0 and one not judged: advantages .75 and -.25; the flat group has none.
    np.testing.assert_allclose(step.batch.advantages[:5], [0.75, -0.25, -0.25, -0.25, 0])
    assert step.metrics["rows"] == 4


def test_a_kl_keeps_flat_groups(prompting):
    [group] = items(prompting)
    asked = []

    def score(params, batch):
        asked.append(params)
        return np.full(batch.loss_mask.shape, -0.3, np.float32)

    step = policy_gradient(prompting, [group, group[:1] * 5], score, kl_coefficient=0.1)
    assert step.metrics["rows"] == 9 and asked == ["reference"]
    assert (step.batch.reference_logprobs == np.float32(-0.3)).all()
    np.testing.assert_array_equal(step.batch.advantages[4:], 0)
    assert step.batch.loss_mask[:9].any(1).all() and not step.batch.loss_mask[9:].any()


def test_k1_is_taken_off_the_reward(prompting):
    """verl's kl in reward: the sum over the response of log q_old - log q_ref, then group means."""
    [group] = items(prompting)
    rng = np.random.default_rng(0)
    said = {}

    def score(params, batch):
        said[params] = rng.uniform(-2, -1, batch.loss_mask.shape).astype(np.float32)
        return said[params]

    for std in (False, True):
        batch = policy_gradient(
            prompting, [group], score, kl="k1", kl_coefficient=0.2, epochs=2, normalize_std=std
        ).batch
        np.testing.assert_array_equal(batch.old_logprobs, said["params"])
        distances = ((said["params"] - said["reference"]) * batch.loss_mask).sum(1)[:4]
        rewards = np.array([1, 0, 0, 0]) - 0.2 * distances
        expected = rewards - rewards.mean()
        expected /= rewards.std(ddof=1) + 1e-4 if std else 1
        np.testing.assert_allclose(batch.advantages[:4], expected, rtol=1e-5)
        np.testing.assert_array_equal(batch.advantages[4:], 0)


@pytest.mark.parametrize("changes", [{"minibatches": 2}, {"epochs": 2}, {"is_clip": 2.0}])
def test_old_logprobs_come_from_the_trainer_where_they_must(prompting, changes):
    [group] = items(prompting)
    score = lambda params, batch: np.full(batch.loss_mask.shape, -7, np.float32)  # noqa: E731
    batch = policy_gradient(prompting, [group], score, **changes).batch
    assert (batch.old_logprobs == -7).all() and (batch.generator_logprobs != -7).all()
    batch = policy_gradient(prompting, [group]).batch
    np.testing.assert_array_equal(batch.old_logprobs, batch.generator_logprobs)


def test_truncated_attempts_are_masked_and_overlong_ones_cost(prompting):
    [group] = items(prompting)
    cut = [i for i, (_, a, _, _) in enumerate(group) if not a.finished]
    plain = policy_gradient(prompting, [group])
    masked = policy_gradient(prompting, [group], mask_truncated=True)
    assert cut == [3] and masked.metrics["rows"] == plain.metrics["rows"] - 1
    np.testing.assert_allclose(masked.batch.advantages[:3], plain.batch.advantages[:3])
    lengths = np.array([len(a.tokens) for _, a, _, _ in group[:4]])
    budget = prompting.response_length
    buffer = budget - int(lengths.min())  # so that the longer ones run into it
    step = policy_gradient(prompting, [group], overlong_buffer=buffer, overlong_penalty=0.5)
    rewards = np.array([1, 0, 0, 0]) - 0.5 * np.maximum(lengths - (budget - buffer), 0) / buffer
    assert len(set(rewards)) > 2
    np.testing.assert_allclose(step.batch.advantages[:4], rewards - rewards.mean(), rtol=1e-5)


class Rollouts:
    """Stands in for a Collector: a list of groups for the step, and one for each refill."""

    def __init__(self, *groups):
        self.groups, self.launched, self.noted = groups, [], []
        self.timers = lambda name: contextlib.nullcontext()
        self.curriculum = SimpleNamespace(
            note=lambda step, groups: self.noted.append((step, len(groups))),
            metrics=lambda step: {},
        )
        self.cost = lambda groups: {"cost/rollouts": sum(map(len, groups))}

    def launch(self, step, state, refill=0):
        self.launched.append((step, refill))
        return lambda state: self.groups[refill] if refill < len(self.groups) else []


def test_flat_groups_are_refilled_until_there_are_enough(prompting):
    [mixed] = items(prompting)
    flat = mixed[:1] * 5

    def step_of(refill, *groups):
        rollouts = Rollouts(*groups)
        config = grpo_stage(refill=refill)
        to_batch = stages.policy_gradient(config, prompting, None)
        source = stages.from_rollouts(rollouts, to_batch, steps=9, depth=0, refill=refill)
        step = source(0, SimpleNamespace(params=None))
        return rollouts, step.metrics, step.batch

    # Enough at once: nothing further is asked for.
    rollouts, metrics, _ = step_of(3, [mixed, mixed])
    assert rollouts.launched == [(0, 0)] and metrics["refills"] == 0 and metrics["groups"] == 2
    # Enough after two; what is over is left.
    rollouts, metrics, batch = step_of(3, [flat, mixed], [flat, flat], [mixed, mixed])
    assert rollouts.launched == [(0, 0), (0, 1), (0, 2)] and rollouts.noted == [(0, 6)]
    assert metrics["refills"] == 2 and metrics["groups"] == 2 and metrics["rows"] == 8
    assert metrics["zero_variance_groups"] == 0.5 and metrics["solve_rate"] == pytest.approx(
        18 / 30
    )
    assert metrics["cost/rollouts"] == 30
    assert (batch.advantages != 0).sum() == 8
    # The bound.
    rollouts, metrics, _ = step_of(1, [flat, mixed], [flat, flat], [mixed, mixed])
    assert rollouts.launched == [(0, 0), (0, 1)] and metrics["groups"] == 1
    # No theorems are left; no group at all.
    rollouts, metrics, batch = step_of(3, [flat, flat], [flat])
    assert metrics["refills"] == 1 and metrics["groups"] == 0 and metrics["rows"] == 0
    assert not batch.loss_mask.any()
    # Without a bound nothing is refilled, nor counted.
    rollouts, metrics, _ = step_of(0, [flat, mixed])
    assert rollouts.launched == [(0, 0)] and "refills" not in metrics and "groups" not in metrics


def test_parts_of_a_combined_stage_learn_from_the_same_groups_together_or_in_turn(prompting):
    [group] = items(prompting)
    config = combined_stage(row_buckets=(8,), prompts_per_step=1, samples_per_prompt=5)
    step = stages.combined(config, prompting, None)(0, [group], None)
    assert step.batch.keys() == {"distillation", "policy_gradient"}
    assert step.metrics["rows"] == 2 + 4
    alone = stages.distillation(part(config, "distillation"), prompting)(0, [group], None).batch
    np.testing.assert_array_equal(step.batch["distillation"].weights, alone.weights)
    config.turns = ("distillation", "policy_gradient", "policy_gradient")
    to_batch = stages.combined(config, prompting, None)
    turns = [list(to_batch(index, [group], None).batch) for index in range(4)]
    assert turns == [["distillation"], ["policy_gradient"], ["policy_gradient"], ["distillation"]]


def test_rollout_metrics(prompting):
    [group] = items(prompting)
    metrics = stages.rollout_metrics([group, group[:1] * 5])
    assert metrics["solve_rate"] == pytest.approx(0.6)
    assert metrics["unverified"] == 1 and metrics["zero_variance_groups"] == 0.5
    assert metrics["policy_entropy"] == pytest.approx(0.3)


def test_unknown_settings_are_named(prompting):
    config = CONFIG.fd.copy_and_resolve_references()
    config.distill_attempts = "some"
    with pytest.raises(ConfigError, match="gate is 'some'; known are all, failed"):
        stages.distillation(config, prompting)
