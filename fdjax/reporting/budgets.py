"""What episodes of several turns are worth: solve rates by budget of turns and of tokens.

An episode is compared with independent attempts: with as many of them as it may have turns, and
with as many as the tokens that the model wrote in it would have paid for. All intervals are over
theorems; those of differences are paired.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fdjax.reporting.pass_at_k import Figures, estimate, mean_figures
from fdjax.types import Item

TURNS = (1, 2, 4)  # and as many as an attempt had


class Spent(NamedTuple):
    """Of T theorems with S attempts each."""

    solved_TS: np.ndarray  # bool
    turns_TS: np.ndarray  # i64, of the model
    tokens_TS: np.ndarray  # i64, that the model wrote


def episode_figures(
    groups: Sequence[Sequence[Item]], independent: Sequence[Sequence[Item]] | None = None
) -> dict[str, Any]:
    """Of the episodes at each theorem; empty where none has several turns or a call.

    turns: their mean number. within_turns: turns -> solve rate. minus_attempts: n -> that minus the
    rate at which n independent attempts solve. equal_tokens: `equal_tokens`. And those of
    `tool_figures`.

    `independent`: attempts of one turn at the same theorems. None: the first turns of the episodes,
    where no tool is called: then each turn is an attempt (environment `repair`). Comparisons for
    which there are too few attempts are left out.
    """
    attempts = [attempt for group in groups for _, attempt, _ in group]
    if not any(attempt.turns > 1 or attempt.calls for attempt in attempts):
        return {}
    spent = count_spent(groups)
    figures = {
        "turns": float(spent.turns_TS.mean()),
        "within_turns": mean_figures({k: within(spent, k).mean(1) for k in budgets(spent)}),
    } | tool_figures(groups)
    calls = any(attempt.calls for attempt in attempts)
    if independent is None and calls:
        return figures
    others = first_turns(groups) if independent is None else count_spent(independent)
    figures["minus_attempts"] = minus_attempts(spent, others)
    if attempts_paid(spent, others).max() <= others.solved_TS.shape[1]:
        figures["equal_tokens"] = equal_tokens(spent, others)
    return figures


def episode_metrics(groups: Sequence[Sequence[Item]]) -> dict[str, float]:
    """Of a step's attempts, empty where none has several turns or a call: turns, their mean number;
    first_turn_solve_rate, the share of attempts that prove it in their first turn; and those of
    `tool_figures`.
    """
    attempts = [(attempt, verdict) for group in groups for _, attempt, verdict in group]
    if not any(attempt.turns > 1 or attempt.calls for attempt, _ in attempts):
        return {}
    at_once = [verdict.proved and attempt.turns == 1 for attempt, verdict in attempts]
    return {
        "turns": float(np.mean([attempt.turns for attempt, _ in attempts])),
        "first_turn_solve_rate": float(np.mean(at_once)),
    } | tool_figures(groups)


def count_spent(groups: Sequence[Sequence[Item]]) -> Spent:
    """Raises ValueError where theorems have different numbers of attempts."""
    if len({len(group) for group in groups}) != 1:
        raise ValueError("all theorems need as many attempts")
    return Spent(
        np.array([[verdict.proved for _, _, verdict in group] for group in groups]),
        np.array([[attempt.turns for _, attempt, _ in group] for group in groups]),
        np.array([[sum(attempt.trained) for _, attempt, _ in group] for group in groups]),
    )


def first_turns(groups: Sequence[Sequence[Item]]) -> Spent:
    """Of episodes that end with the first proof: each one's first turn as an attempt of its own."""
    spent = count_spent(groups)
    tokens = [[len(attempt.segments[0].tokens) for _, attempt, _ in group] for group in groups]
    one = np.ones_like(spent.turns_TS)
    return Spent(within(spent, 1), one, np.array(tokens))


def budgets(spent: Spent) -> list[int]:
    """Those of TURNS that an attempt had, and the most that one had."""
    most = int(spent.turns_TS.max())
    return sorted({most, *(k for k in TURNS if k < most)})


def within(spent: Spent, turns: int) -> np.ndarray:
    """bool[T, S]: which episodes end with a proof after at most so many turns."""
    return spent.solved_TS & (spent.turns_TS <= turns)


def minus_attempts(spent: Spent, independent: Spent) -> Figures:
    """n -> the solve rate within n turns minus pass@n of independent ones, 1 < n of `budgets`."""
    samples = independent.solved_TS.shape[1]
    return mean_figures(
        {
            str(n): within(spent, n).mean(1) - attempts_rate(independent, np.full(len(spent[0]), n))
            for n in budgets(spent)
            if 1 < n <= samples
        }
    )


def equal_tokens(spent: Spent, independent: Spent) -> dict[str, Any]:
    """attempts: how many independent attempts write as many tokens as an episode, mean over
    theorems. episodes, attempts_rate, difference: the solve rate of an episode, that of so many
    attempts at each theorem, and the one minus the other, each {"mean", "low", "high"}.

    Raises ValueError where there are fewer attempts than that.
    """
    paid_T = attempts_paid(spent, independent)
    if paid_T.max() > independent.solved_TS.shape[1]:
        raise ValueError(
            f"an episode writes as many tokens as {paid_T.max():.1f} attempts; there are "
            f"{independent.solved_TS.shape[1]} at each theorem"
        )
    episodes_T, attempts_T = spent.solved_TS.mean(1), attempts_rate(independent, paid_T)
    rates = {"episodes": episodes_T, "attempts_rate": attempts_T}
    rates["difference"] = episodes_T - attempts_T
    return {"attempts": float(paid_T.mean()), **mean_figures(rates)}


def attempts_paid(spent: Spent, independent: Spent) -> np.ndarray:
    """f64[T]: mean tokens of an episode at each theorem over those of an independent attempt."""
    return spent.tokens_TS.mean(1) / np.maximum(independent.tokens_TS.mean(1), 1)


def attempts_rate(independent: Spent, count_T: np.ndarray) -> np.ndarray:
    """f64[T]: the probability that one of count_T attempts is a proof (`estimate`). A count between
    two whole numbers is one or the other by chance, so that it is right in the mean.
    """
    solved_T = independent.solved_TS.sum(1)
    samples_T = np.full(len(solved_T), independent.solved_TS.shape[1])
    low_T, high_T = np.floor(count_T).astype(int), np.ceil(count_T).astype(int)
    rates = {n: estimate(samples_T, solved_T, n) for n in {*low_T, *high_T}}
    of_low, of_high = (
        np.array([rates[n][t] for t, n in enumerate(counts)]) for counts in (low_T, high_T)
    )
    part_T = count_T - low_T
    return (1 - part_T) * of_low + part_T * of_high


def tool_figures(groups: Sequence[Sequence[Item]]) -> dict[str, float]:
    """calls: per episode. malformed: share of the calls. tool_seconds: share of Lean's seconds that
    tools took, the others were for verdicts; cached verdicts cost none.
    """
    items = [item for group in groups for item in group]
    calls = sum(attempt.calls for _, attempt, _ in items)
    tools = sum(attempt.tool_seconds for _, attempt, _ in items)
    verdicts = sum(v.seconds for _, _, v in items if not v.from_cache)
    return {
        "calls": calls / max(len(items), 1),
        "malformed": sum(attempt.malformed for _, attempt, _ in items) / max(calls, 1),
        "tool_seconds": tools / (tools + verdicts) if tools else 0.0,
    }
