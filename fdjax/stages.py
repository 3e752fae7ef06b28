"""What each kind of stage trains on: the batch of a step, as arrays on the host.

A source is made once per stage and called with a step's index. Supervised sources depend on that
alone; the others roll out the policy first.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdjax import accounting
from fdjax.config import ConfigError, part
from fdjax.data.theorems import Theorem
from fdjax.evaluation.diversity import normalise
from fdjax.feedback.metrics import feedback_metrics
from fdjax.lean.verdict import REFUSED
from fdjax.metrics import console
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.rollout import batching
from fdjax.rollout.attempts import policy_entropy
from fdjax.rollout.batching import Shape
from fdjax.rollout.collect import Prompting
from fdjax.rollout.credit import Credit
from fdjax.rollout.curriculum import in_epochs
from fdjax.rollout.experience import Collector, Group
from fdjax.rollout.prompts import bucket
from fdjax.rollout.rewards import advantages, flat, mixed, outcomes, overlong
from fdjax.state import TrainState

Metrics = dict[str, float]


class Step(NamedTuple):
    batch: Any  # with all weights 0 where there is nothing to learn from
    metrics: Metrics  # of the rollouts; the update adds its own


Source = Callable[[int, TrainState], Step]  # of a step; steps are called in order


# --- Supervised ----------------------------------------------------------------------------------


def supervised(config, prompting: Prompting, collector: Collector, seed: int) -> Source:
    """Plain proofs; from step `feedback_start` on also what feedback on the policy's own failed
    attempts of that moment says, answered by a proof that does as it says.

    Rows over the token budgets are left out, and counted on the console. Raises ConfigError
    naming a theorem that has no reference proof.
    """
    prefill = prompting.template.prefill
    for theorem in collector.theorems:
        if theorem.reference is None or not theorem.reference.startswith(prefill):
            raise ConfigError(
                f"theorem {theorem.id} of the split {config.theorems} has no reference proof "
                f"that begins with prompt.prefill {prefill!r}"
            )
    longest = max(prompting.student_buckets + prompting.teacher_buckets)
    response = prompting.response_length

    def rows_of(
        triples: Iterable[tuple[Sequence[int], Theorem, str]]
    ) -> list[batching.SupervisedRow]:
        to_ids = prompting.template.response_ids
        rows = [
            batching.SupervisedRow(prompt, to_ids(prompting.tokenizer, theorem, proof))
            for prompt, theorem, proof in triples
            if proof.startswith(prefill)  # the prompt may end with it
        ]
        fitting = [r for r in rows if len(r.prompt) <= longest and len(r.response) <= response]
        tell_left_out(len(rows) - len(fitting), len(rows), "rows")
        return fitting

    plain = rows_of([(collector.prompts[t.id], t, t.reference) for t in collector.theorems])
    read: list[batching.SupervisedRow] | None = None  # None: not yet asked for

    def step(index: int, state: TrainState) -> Step:
        nonlocal read
        about: Metrics = {}
        if config.feedback_fraction and index >= config.feedback_start and read is None:
            # Attempts of the step `feedback_start`: from the journal if the run resumes after it.
            groups = collector.launch(config.feedback_start, state)(state)
            read = rows_of(_answers(groups, prompting))
            if index == config.feedback_start:
                about = feedback_metrics(groups) | collector.cost(groups)
        told = round(config.feedback_fraction * config.batch_size) if read else 0
        chosen = [
            rows[i]
            for rows, count in ((plain, config.batch_size - told), (read or [], told))
            for i in in_epochs(len(rows), count, index, (seed, 2))
        ]
        prompt = longest if told else max(prompting.student_buckets)
        shape = Shape(config.batch_size, prompt, response)
        batch = batching.supervised_batch(chosen, shape, prompting.tokenizer.pad_id)
        padding = 1 - float(batch.mask.mean())
        return Step(batch, {"padding": padding, "rows_read": len(read or [])} | about)

    return step


def tell_left_out(count: int, of: int, what: str) -> None:
    if count:
        console.print(f"{count:,} of {of:,} {what} are over the token budgets and left out")


def _answers(
    groups: list[Group], prompting: Prompting
) -> Iterator[tuple[list[int], Theorem, str]]:
    """(teacher's prompt, theorem, a proof that does as the feedback says), of failed attempts."""
    for theorem, _, verdict, feedback in (item for g in groups for item in g):
        if verdict.status in REFUSED and feedback and feedback.proof:
            yield prompting.teacher_prompt(theorem, feedback)[0], theorem, feedback.proof


# --- Expert iteration ----------------------------------------------------------------------------


def expert_iteration(config, prompting: Prompting, collector: Collector, seed: int) -> Source:
    """Supervised learning on the policy's own verified proofs (Polu et al. 2022), in rounds.

    A round begins with rollouts by the policy as it then is; its steps learn from all that was
    verified so far: distinct proofs, the latest `per_theorem` of each theorem, each as often as
    any other. Unlike the original, a round goes on from the last one's parameters.
    """
    known: dict[str, dict[str, batching.SupervisedRow]] = {}  # theorem -> normal form -> row
    rounds = 0  # gathered so far

    def gather(groups: list[Group]) -> None:
        for theorem, attempt, verdict, _ in (item for g in groups for item in g):
            if verdict.proved and attempt.finished:
                rows = known.setdefault(theorem.id, {})
                row = batching.SupervisedRow(
                    collector.prompts[theorem.id], attempt.tokens, attempt.trained
                )
                rows.setdefault(normalise(attempt.proof), row)
                if len(rows) > config.per_theorem:
                    del rows[next(iter(rows))]

    def step(index: int, state: TrainState) -> Step:
        nonlocal rounds
        this_round, of_round = divmod(index, config.steps_per_round)
        metrics = {}
        while rounds <= this_round:  # a resumed run reads earlier rounds in the journal
            groups = collector.launch(rounds, state)(state)
            if rounds == this_round and of_round == 0:
                collector.curriculum.note(rounds, groups)
                metrics = rollout_metrics(groups) | collector.cost(groups)
                metrics |= collector.curriculum.metrics(rounds)
            gather(groups)
            rounds += 1
        rows = [row for of_theorem in known.values() for row in of_theorem.values()]
        chosen = []
        if rows:
            epochs = in_epochs(len(rows), config.batch_size, of_round, (seed, 5, this_round))
            chosen = [rows[i] for i in epochs]
        shape = Shape(
            config.batch_size,
            _shared_bucket([r.prompt for r in chosen], prompting.student_buckets),
            prompting.response_length,
        )
        batch = batching.supervised_batch(chosen, shape, prompting.tokenizer.pad_id)
        return Step(batch, metrics | {"rows": len(rows), "theorems_proved": len(known)})

    return step


# --- From rollouts -------------------------------------------------------------------------------


ToBatch = Callable[[int, list[Group], TrainState], Step]  # of a step and what was rolled out
# (parameters, batch) -> f32[N, R]: what a policy says of a batch's responses, from the device
Score = Callable[[Any, PolicyGradientBatch], np.ndarray]


def from_rollouts(
    collector: Collector, to_batch: ToBatch, *, steps: int, depth: int, refill: int = 0
) -> Source:
    """Launches rollouts up to `depth` steps ahead of the step that learns from them.

    Where verdicts agree throughout a group, up to `refill` more rollouts of a step look for other
    groups in its place, on theorems new to the step, by the policy that is to learn from them
    (dynamic sampling, DAPO). They end early when no theorem is left.
    """
    waiting: collections.deque = collections.deque()

    def step(index: int, state: TrainState) -> Step:
        while index + len(waiting) < min(index + depth + 1, steps):
            waiting.append(collector.launch(index + len(waiting), state))
        with collector.timers("wait"):
            groups = waiting.popleft()(state)
        wanted, refills = len(groups), 0
        while refills < refill and len(mixed(groups)) < wanted:
            further = collector.launch(index, state, refill=refills + 1)
            with collector.timers("wait"):
                further = further(state)
            if not further:
                break
            groups, refills = groups + further, refills + 1
        collector.curriculum.note(index, groups)
        batch, metrics = to_batch(index, groups, state)
        known = rollout_metrics(groups) | collector.curriculum.metrics(index)
        known |= collector.cost(groups) | ({"refills": refills} if refill else {})
        return Step(batch, accounting.added(known, metrics))

    return step


def rollout_metrics(groups: list[Group]) -> Metrics:
    out = outcomes(groups)
    return {
        "solve_rate": float(out.proved.mean(dtype=np.float64)),
        "groups_solved": float(out.proved.any(1).mean()),
        "groups_flat": float(flat(out.proved, out.judged).mean()),
        "policy_entropy": policy_entropy(a for g in groups for _, a, _, _ in g),
        "response_tokens": float(out.lengths.mean()),
        "unfinished": float((~out.finished).mean()),
        "unverified": int((~out.judged).sum()),
        "from_cache": float(np.mean([v.from_cache for g in groups for _, _, v, _ in g])),
    } | feedback_metrics(groups)


def distillation(config, prompting: Prompting) -> ToBatch:
    """What is distilled, and how much each token counts: fdjax/rollout/credit.py."""
    credit = Credit(**{f.name: config[f.name] for f in dataclasses.fields(Credit)})

    def to_batch(_: int, groups: list[Group], state: TrainState) -> Step:
        rows, dropped = [], 0
        for theorem, attempt, feedback, departs, weights in credit.give(groups):
            teacher_prompt, over_budget = prompting.teacher_prompt(theorem, feedback)
            dropped += over_budget
            if over_budget == len(feedback.messages):
                continue  # nothing is left to learn from
            student_prompt = prompting.student_prompt(theorem)
            rows.append(
                batching.DistillationRow(student_prompt, teacher_prompt, attempt, departs, weights)
            )
        metrics = {
            "rows": len(rows),
            "messages_dropped": dropped,
            "departs_at": float(np.mean([r.departs for r in rows if r.departs is not None] or [0])),
        }
        shape = Shape(
            batching.row_bucket(len(rows), config.row_buckets),
            _shared_bucket([r.student_prompt for r in rows], prompting.student_buckets),
            prompting.response_length,
        )
        teacher = _shared_bucket([r.teacher_prompt for r in rows], prompting.teacher_buckets)
        batch = batching.distillation_batch(rows, shape, teacher, prompting.tokenizer.pad_id)
        return Step(batch, metrics)

    return to_batch


def policy_gradient(config, prompting: Prompting, score: Score) -> ToBatch:
    """Rewards 1 and 0, less what the config takes off for length and for leaving the reference.

    Attempts that Lean could not judge are left out of their group's mean. Flat groups are not
    computed, unless a KL holds them to the reference; with `refill` they are never taken, and of
    the others as many as a step has prompts.
    """
    from_trainer = config.minibatches * config.epochs > 1 or config.sampler_ratio_cap > 0

    def to_batch(_: int, groups: list[Group], state: TrainState) -> Step:
        if config.refill:
            groups = mixed(groups)[: config.prompts_per_step]
        out = outcomes(groups)
        rewards_BG, taken_BG = out.proved, out.judged
        if config.overlong_buffer:
            penalty = overlong(out.lengths, prompting.response_length, config.overlong_buffer)
            rewards_BG = rewards_BG + config.overlong_penalty * penalty
        if config.mask_truncated:
            taken_BG = taken_BG & out.finished
        if not config.kl_coefficient:
            taken_BG = taken_BG & ~flat(rewards_BG, out.judged)[:, None]

        def worth(rewards_BG: np.ndarray) -> np.ndarray:
            return advantages(rewards_BG, out.judged, use_std=config.normalize_std)[taken_BG]

        taken = [item for g, row in zip(groups, taken_BG) for item, take in zip(g, row) if take]
        rows = [
            batching.PolicyGradientRow(prompting.student_prompt(theorem), attempt, float(a))
            for (theorem, attempt, _, _), a in zip(taken, worth(rewards_BG))
        ]
        shape = Shape(
            batching.row_bucket(len(rows), config.row_buckets),
            _shared_bucket([r.prompt for r in rows], prompting.student_buckets),
            prompting.response_length,
        )
        batch = batching.policy_gradient_batch(rows, shape, prompting.tokenizer.pad_id)
        metrics = {"rows": len(rows)} | ({"groups": len(groups)} if config.refill else {})
        if from_trainer or config.kl_coefficient:
            policies = from_trainer + (config.kl_coefficient > 0)
            metrics |= accounting.of_scoring(prompting.model, batch, policies)
        if from_trainer:
            batch = batch._replace(old_logprobs=score(state.params, batch))
        if config.kl_coefficient:
            batch = batch._replace(reference_logprobs=score(state.teacher_params, batch))
        if config.kl_coefficient and config.kl == "k1":
            gap_NR = np.where(batch.loss_mask, batch.old_logprobs - batch.reference_logprobs, 0)
            farther_BG = np.zeros_like(rewards_BG)
            farther_BG[taken_BG] = gap_NR.sum(1)[: len(rows)]
            less = worth(rewards_BG - config.kl_coefficient * farther_BG)
            batch = batch._replace(advantages=np.pad(less, (0, shape.rows - len(rows))))
        return Step(batch, metrics)

    return to_batch


def combined(config, prompting: Prompting, score: Score) -> ToBatch:
    """A batch for each part, by name; where parts take turns, for the one whose turn it is."""
    makers = {
        "distillation": distillation(part(config, "distillation"), prompting),
        "policy_gradient": policy_gradient(part(config, "policy_gradient"), prompting, score),
    }

    def to_batch(index: int, groups: list[Group], state: TrainState) -> Step:
        turn = parts_of_step(config, index)
        made = {name: makers[name](index, groups, state) for name in turn}
        metrics = functools.reduce(accounting.added, [step.metrics for step in made.values()])
        return Step({name: step.batch for name, step in made.items()}, metrics)

    return to_batch


def parts_of_step(config, index: int) -> tuple[str, ...]:
    """Which objectives learn at step `index`: all parts, or in turns the one whose turn it is."""
    if config.objective != "combined":
        return (config.objective,)
    turns = tuple(config.turns)
    return (turns[index % len(turns)],) if turns else tuple(config.weights)


def _shared_bucket(prompts: Sequence[Sequence[int]], buckets: Sequence[int]) -> int:
    longest = max(map(len, prompts), default=0)
    return bucket(longest, buckets, "the longest prompt", "prompt.*_buckets")
