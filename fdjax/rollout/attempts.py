"""An attempt: what the policy wrote for one theorem, as ids and as proof text."""

import dataclasses
from collections.abc import Iterable
from typing import Literal


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
    proof: str  # what follows `:=`: the template's prefill plus the decoded response
    offsets: tuple[int, ...]  # where in `proof` each token's text starts; len(proof) for EOS
    # Nats: the mean over its own tokens of the entropy of what they were drawn from.
    entropy: float = 0.0

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(t for s in self.segments for t in s.tokens)

    @property
    def trained(self) -> tuple[bool, ...]:
        """Per token: did the model itself write it?"""
        return tuple(s.origin == "model" for s in self.segments for _ in s.tokens)


def policy_entropy(attempts: Iterable[Attempt]) -> float:
    """Nats per token that the model wrote: the full softmax's, at the sampling temperature."""
    total = count = 0.0
    for attempt in attempts:
        own = sum(attempt.trained)
        total, count = total + own * attempt.entropy, count + own
    return total / count if count else 0.0
