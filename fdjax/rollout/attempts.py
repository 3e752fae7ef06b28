"""An attempt: what the policy wrote for one theorem, as ids and as proof text."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from fdjax.lean.farm import Farm
from fdjax.runtime import hosts
from fdjax.types import Attempt, Message, Theorem, Verdict


def submit(
    farm: Farm, theorem: Theorem, attempt: Attempt, urgent: bool = False
) -> "Future[Verdict]":
    """Lean's verdict to come; a response without a proof to read is rejected at once."""
    if attempt.refusal is None:
        return farm.submit(theorem, attempt.candidate, urgent=urgent)
    verdict: Future[Verdict] = Future()
    message = Message("error", attempt.refusal, kind="extraction")
    verdict.set_result(Verdict("rejected", (message,)))
    return verdict


def judge(
    farm: Farm,
    groups: Iterable[tuple[Theorem, Sequence[Attempt]]],
    name: str,
    *,
    urgent: bool = False,
) -> list[list[Verdict]]:
    """Lean's verdicts on groups that it takes as they come. Several hosts share the work; they
    tell each other under that name.
    """
    waiting = [
        [submit(farm, theorem, a, urgent) for a in attempts] if hosts.is_mine(number) else []
        for number, (theorem, attempts) in enumerate(groups)
    ]
    of_all = hosts.allgather(
        f"verdicts {name}", lambda: [[v.result() for v in group] for group in waiting]
    )
    return [of_all[number % len(of_all)][number] for number in range(len(waiting))]


def policy_entropy(attempts: Iterable[Attempt]) -> float:
    """Nats per token that the model wrote: the full softmax's, at the sampling temperature."""
    total = count = 0.0
    for attempt in attempts:
        own = sum(attempt.trained)
        total, count = total + own * attempt.entropy, count + own
    return total / count if count else 0.0
