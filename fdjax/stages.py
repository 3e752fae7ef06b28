"""What each kind of stage trains on: the batch of a step, as arrays on the host.

A source is made once per stage and called with a step's index. Supervised sources depend on that
alone; the others roll out the policy first.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdjax.config import ConfigError
from fdjax.data.theorems import Theorem
from fdjax.evaluation.diversity import normalise
from fdjax.feedback.metrics import feedback_metrics
from fdjax.lean.verdict import DECIDED, REFUSED
from fdjax.metrics import console
from fdjax.objectives.policy_gradient import advantages
from fdjax.rollout import batching
from fdjax.rollout.attempts import policy_entropy
from fdjax.rollout.batching import Shape
from fdjax.rollout.collect import Prompting
from fdjax.rollout.credit import Credit
from fdjax.rollout.curriculum import in_epochs
from fdjax.rollout.experience import Collector, Group
from fdjax.rollout.prompts import bucket

Metrics = dict[str, float]


class Step(NamedTuple):
    batch: Any  # with all weights 0 where there is nothing to learn from
    metrics: Metrics  # of the rollouts; the update adds its own


Source = Callable[[int, Any], Step]  # (step, TrainState) -> Step; steps are called in order


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

    def step(index: int, state) -> Step:
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

    def step(index: int, state) -> Step:
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


def from_rollouts(
    collector: Collector, to_batch: Callable[[list[Group]], Step], *, steps: int, depth: int
) -> Source:
    """Launches rollouts up to `depth` steps ahead of the step that learns from them."""
    waiting: collections.deque = collections.deque()

    def step(index: int, state) -> Step:
        while index + len(waiting) < min(index + depth + 1, steps):
            waiting.append(collector.launch(index + len(waiting), state))
        with collector.timers("wait"):
            groups = waiting.popleft()(state)
        collector.curriculum.note(index, groups)
        batch, metrics = to_batch(groups)
        about = collector.curriculum.metrics(index) | collector.cost(groups)
        return Step(batch, rollout_metrics(groups) | about | metrics)

    return step


def rollout_metrics(groups: list[Group]) -> Metrics:
    attempts = [a for g in groups for _, a, _, _ in g]
    verdicts = [v for g in groups for _, _, v, _ in g]
    solved = [[v.proved for _, _, v, _ in g] for g in groups]
    return {
        "solve_rate": float(np.mean(solved)),
        "groups_solved": float(np.mean([any(s) for s in solved])),
        "groups_flat": float(np.mean([len(set(s)) == 1 for s in solved])),
        "policy_entropy": policy_entropy(attempts),
        "response_tokens": float(np.mean([len(a.tokens) for a in attempts])),
        "unfinished": float(np.mean([not a.finished for a in attempts])),
        "unverified": sum(v.status not in DECIDED for v in verdicts),
        "from_cache": float(np.mean([v.from_cache for v in verdicts])),
    } | feedback_metrics(groups)


def distillation(config, prompting: Prompting) -> Callable[[list[Group]], Step]:
    """What is distilled, and how much each token counts: fdjax/rollout/credit.py."""
    credit = Credit(**{f.name: config[f.name] for f in dataclasses.fields(Credit)})

    def to_batch(groups: list[Group]) -> Step:
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


def policy_gradient(config, prompting: Prompting) -> Callable[[list[Group]], Step]:
    """Rewards 1 and 0; attempts that Lean could not judge are left out of their group's mean."""

    def to_batch(groups: list[Group]) -> Step:
        rewards_BG = np.array([[v.proved for _, _, v, _ in g] for g in groups], np.float32)
        judged_BG = np.array([[v.status in DECIDED for _, _, v, _ in g] for g in groups])
        advantage_BG = advantages(rewards_BG, judged_BG, use_std=config.normalize_std).values
        rows = [
            batching.PolicyGradientRow(prompting.student_prompt(theorem), attempt, float(a))
            for g, group_advantages in zip(groups, advantage_BG)
            for (theorem, attempt, _, _), a in zip(g, group_advantages)
            if a != 0  # nothing to learn, so nothing is computed
        ]
        shape = Shape(
            batching.row_bucket(len(rows), config.row_buckets),
            _shared_bucket([r.prompt for r in rows], prompting.student_buckets),
            prompting.response_length,
        )
        batch = batching.policy_gradient_batch(rows, shape, prompting.tokenizer.pad_id)
        return Step(batch, {"rows": len(rows)})

    return to_batch


def _shared_bucket(prompts: Sequence[Sequence[int]], buckets: Sequence[int]) -> int:
    longest = max(map(len, prompts), default=0)
    return bucket(longest, buckets, "the longest prompt", "prompt.*_buckets")
