"""Verification of attempts, their text by turns, and figures of them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from fdjax.lean.farm import Farm
from fdjax.models.tokenizer import Tokenizer
from fdjax.runtime import hosts
from fdjax.types import Attempt, Message, Theorem, Verdict


def submit(
    farm: Farm, theorem: Theorem, attempt: Attempt, urgent: bool = False
) -> "Future[Verdict]":
    """The future of Lean's verdict. A response without a proof is rejected at once."""
    if attempt.refusal is None:
        return farm.submit(theorem, attempt.candidate, urgent=urgent, more_follow=True)
    verdict: Future[Verdict] = Future()
    message = Message("error", attempt.refusal, kind="extraction")
    verdict.set_result(Verdict("rejected", (message,)))
    return verdict


class Verdicts:
    """Verdicts to come on groups of attempts, which are submitted in any order. Each host submits
    the groups that are its own.
    """

    def __init__(self, farm: Farm, *, urgent: bool = False):
        self._farm, self._urgent = farm, urgent
        self._futures: dict[tuple[int, int], Future[Verdict]] = {}  # by group and sample

    def submit(self, group: int, theorem: Theorem, attempt: Attempt) -> None:
        if hosts.is_mine(group):
            try:
                future = submit(self._farm, theorem, attempt, self._urgent)
            except Exception as error:  # `result` raises it, on all hosts
                future = Future()
                future.set_exception(error)
            self._futures[group, attempt.sample] = future

    def result(self, name: str, groups: Sequence[Sequence[Attempt]]) -> list[list[Verdict]]:
        """Waits. The verdicts of each group, in its order; hosts exchange them under `name`."""

        def own() -> list[list[Verdict]]:
            return [
                [self._futures[g, a.sample].result() for a in group] if hosts.is_mine(g) else []
                for g, group in enumerate(groups)
            ]

        of_hosts = hosts.allgather(f"verdicts {name}", own)
        return [of_hosts[number % len(of_hosts)][number] for number in range(len(groups))]


def turn_texts(tokenizer: Tokenizer, attempt: Attempt) -> list[tuple[str, str]]:
    """(origin, "model" or "tool"; text) of each segment. Control tokens have no text."""
    return [(s.origin, tokenizer.decode(list(s.tokens))) for s in attempt.segments]


def policy_entropy(attempts: Iterable[Attempt]) -> float:
    """Mean entropy, in nats, of the distributions that the model's tokens were drawn from: the full
    softmax at the sampling temperature. 0 without attempts.
    """
    total = count = 0.0
    for attempt in attempts:
        tokens = sum(attempt.trained)
        total, count = total + tokens * attempt.entropy, count + tokens
    return total / count if count else 0.0
