"""Verification of attempts, and figures of them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from fdjax.lean.farm import Farm
from fdjax.runtime import hosts
from fdjax.types import Attempt, Message, Theorem, Verdict


def submit(
    farm: Farm, theorem: Theorem, attempt: Attempt, urgent: bool = False
) -> "Future[Verdict]":
    """The future of Lean's verdict. A response without a proof is rejected at once."""
    if attempt.refusal is None:
        return farm.submit(theorem, attempt.candidate, urgent=urgent)
    verdict: Future[Verdict] = Future()
    message = Message("error", attempt.refusal, kind="extraction")
    verdict.set_result(Verdict("rejected", (message,)))
    return verdict


def verify(
    farm: Farm,
    groups: Iterable[tuple[Theorem, Sequence[Attempt]]],
    name: str,
    *,
    urgent: bool = False,
) -> list[list[Verdict]]:
    """The verdicts of each group, in order. `groups` may be a generator: each group is submitted as
    it comes. Hosts share the work and exchange the verdicts under `name`.
    """
    futures = [
        [submit(farm, theorem, a, urgent) for a in attempts] if hosts.is_mine(number) else []
        for number, (theorem, attempts) in enumerate(groups)
    ]
    of_hosts = hosts.allgather(
        f"verdicts {name}", lambda: [[v.result() for v in group] for group in futures]
    )
    return [of_hosts[number % len(of_hosts)][number] for number in range(len(futures))]


def policy_entropy(attempts: Iterable[Attempt]) -> float:
    """Mean entropy, in nats, of the distributions that the model's tokens were drawn from: the full
    softmax at the sampling temperature. 0 without attempts.
    """
    total = count = 0.0
    for attempt in attempts:
        tokens = sum(attempt.trained)
        total, count = total + tokens * attempt.entropy, count + tokens
    return total / count if count else 0.0
