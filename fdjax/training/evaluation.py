"""What a policy can do: its attempts on a set of theorems, judged by Lean."""

from collections.abc import Sequence

import numpy as np

from fdjax.lean.farm import Farm
from fdjax.reporting.diversity import distinct_n, distinct_proofs, unique_ratio
from fdjax.reporting.pass_at_k import pass_at_k
from fdjax.rollout.attempts import judge, policy_entropy
from fdjax.rollout.generate import Prompting, roll_out
from fdjax.types import DECIDED, REFUSED, Feedback, FeedbackContext, Item, Provider, Theorem


def attempt_and_check(
    prompting: Prompting, params, farm: Farm, theorems: Sequence[Theorem], prompts, **sampling
) -> list[list[Item]]:
    """Groups of (theorem, attempt, verdict). Lean checks one batch while the next is sampled, and
    before whatever training waits for.
    """
    groups = []

    def sampled():
        for theorem, group in zip(
            theorems, roll_out(prompting, params, theorems, prompts, **sampling)
        ):
            groups.append(group)
            yield theorem, group

    verdicts = judge(farm, sampled(), "of a policy", urgent=True)
    return [
        [(theorem, a, v) for a, v in zip(*both)]
        for theorem, *both in zip(theorems, groups, verdicts)
    ]


def evaluate(
    prompting: Prompting,
    params,
    farm: Farm,
    theorems: Sequence[Theorem],
    *,
    samples: int,
    temperature: float,
    seed: int,
    batch: int,
) -> dict:
    """pass@k with intervals over theorems, and how varied the attempts are.

    `entropy`: nats per token, of the full softmax at the sampling temperature. `distinct_proofs`
    counts among verified attempts, `unique_ratio` and `distinct_2` among all. `solved`: verified
    attempts per theorem, for paired comparisons with other evaluations of the same theorems.
    `replay_refused`, where successes are replayed: those that did not stand it.
    """
    groups = attempt_and_check(
        prompting,
        params,
        farm,
        theorems,
        [prompting.student_prompt(t) for t in theorems],
        samples=samples,
        temperature=temperature,
        seed=seed,
        stream="evaluation",
        batch=batch,
    )
    solved = np.array([sum(v.proved for _, _, v in g) for g in groups])
    attempts = [a for g in groups for _, a, _ in g]
    verdicts = [v for g in groups for _, _, v in g]
    replayed = {"replay_refused": sum(v.refused_on_replay for v in verdicts)} if farm.second else {}
    proofs = [[a.proof for _, a, _ in g] for g in groups]
    return {
        "pass_at_k": pass_at_k(np.full(len(groups), samples), solved),
        "entropy": policy_entropy(attempts),
        "distinct_proofs": distinct_proofs(
            [[a.proof for _, a, v in g if v.proved] for g in groups]
        ),
        "unique_ratio": unique_ratio(proofs),
        "distinct_2": distinct_n(proofs, 2),
        "response_tokens": float(np.mean([len(a.tokens) for a in attempts])),
        "truncated": float(np.mean([not a.finished for a in attempts])),
        "unverified": sum(v.status not in DECIDED for v in verdicts),
        **replayed,
        "samples": samples,
        "temperature": temperature,
        "solved": dict(zip((t.id for t in theorems), solved.tolist())),
    }


async def teacher_solve_rate(
    prompting: Prompting,
    student_params,
    teacher_params,
    farm: Farm,
    provider: Provider,
    theorems: Sequence[Theorem],
    *,
    samples: int,
    temperature: float,
    seed: int,
    batch: int,
) -> dict[str, float]:
    """How often the teacher solves what the student failed: with feedback on the failed attempt,
    with none, and with feedback on another theorem. Without a gap there is nothing to distil.

    One failed attempt of each theorem that has one; `samples` attempts of the teacher on each.
    `provider`: the true one, also where the training that follows shuffles.
    """
    sampling = dict(samples=samples, temperature=temperature, seed=seed, batch=batch)
    groups, feedbacks = await _failures(
        prompting, student_params, farm, provider, theorems, sampling
    )
    if not groups:
        return {"feedback": 0.0, "none": 0.0, "shuffled": 0.0}
    failed = [theorem for [(theorem, _, _)] in groups]

    def rate(prompts) -> float:
        items = attempt_and_check(
            prompting, teacher_params, farm, failed, prompts, stream="teacher gap", **sampling
        )
        return float(np.mean([v.proved for g in items for _, _, v in g]))

    def told(said: Sequence[Feedback]) -> list[list[int]]:
        return [prompting.teacher_prompt(t, f)[0] for t, f in zip(failed, said)]

    return {
        "feedback": rate(told(feedbacks)),
        "none": rate([prompting.student_prompt(t) for t in failed]),
        "shuffled": rate(told(feedbacks[1:] + feedbacks[:1])),
    }


async def _failures(
    prompting, params, farm, provider, theorems, sampling
) -> tuple[list[list[Item]], list[Feedback]]:
    """A failed attempt, with a verdict of its own, of each theorem, and the feedback on it."""
    groups = attempt_and_check(
        prompting,
        params,
        farm,
        theorems,
        [prompting.student_prompt(t) for t in theorems],
        stream="teacher gap: student",
        **sampling,
    )
    failed = [[v.status in REFUSED and a.finished for _, a, v in g] for g in groups]
    chosen = [(g, f.index(True)) for g, f in zip(groups, failed) if any(f)]
    requested = [[i == index for i in range(len(g))] for g, index in chosen]
    context = FeedbackContext("teacher gap", 0, params, requested=requested)
    feedbacks = await provider([g for g, _ in chosen], context)  # whole groups: peers are shown
    pairs = [([g[i]], f[i]) for (g, i), f in zip(chosen, feedbacks) if f[i] and f[i].messages]
    return [g for g, _ in pairs], [f for _, f in pairs]
