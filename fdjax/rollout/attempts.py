"""An attempt: what the policy wrote for one theorem, as ids and as proof text."""

import dataclasses
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Literal

from fdjax import hosts
from fdjax.data.theorems import Theorem
from fdjax.lean.farm import Farm
from fdjax.lean.verdict import Message, Verdict


@dataclasses.dataclass(frozen=True)
class Segment:
    """A run of token ids by one author. Tool tokens are attended to and never trained on."""

    tokens: tuple[int, ...]
    origin: Literal["model", "tool"] = "model"


@dataclasses.dataclass(frozen=True)
class Attempt:
    theorem_id: str
    sample: int  # index within the theorem's group
    segments: tuple[Segment, ...]
    logprobs: tuple[float, ...]  # the sampler's, per token; 0 for tool tokens
    finished: bool  # ended by an end-of-sequence token, which is kept as the last token
    # What follows `:=`: the template's prefill and what the response goes on with. With helper
    # lemmas all from the first of them on, the statement as the answer has it included.
    proof: str
    # Where each token's text starts, in characters from where `proof` does. Of a response that says
    # more than the proof, tokens before it are below 0 and those behind it at len(proof) or above.
    offsets: tuple[int, ...]
    # Nats: the mean over its own tokens of the entropy of what they were drawn from.
    entropy: float = 0.0
    refusal: str | None = None  # why no proof could be read; `proof` is then the whole response
    main: int = 0  # where in `proof` the theorem's own proof begins, behind helper lemmas

    @property
    def main_proof(self) -> str:
        """What follows `:=` of the theorem itself."""
        return self.proof[self.main :]

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(t for s in self.segments for t in s.tokens)

    @property
    def trained(self) -> tuple[bool, ...]:
        """Per token: did the model itself write it?"""
        return tuple(s.origin == "model" for s in self.segments for _ in s.tokens)


def submit(
    farm: Farm, theorem: Theorem, attempt: Attempt, urgent: bool = False
) -> "Future[Verdict]":
    """Lean's verdict to come; a response without a proof to read is rejected at once."""
    if attempt.refusal is None:
        return farm.submit(theorem, attempt.proof, urgent=urgent)
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
    of_all = hosts.gathered(
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
