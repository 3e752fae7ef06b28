"""From theorems to prompt ids, and from sampled ids back to attempts.

The student sees the theorem; the teacher sees the theorem and feedback. Response ids are never
tokenized anew: what was sampled is what is trained.
"""

import dataclasses
import zlib
from collections.abc import Sequence

import numpy as np

from fdjax.config import ConfigError
from fdjax.data.theorems import Theorem
from fdjax.rollout.attempts import Attempt, Segment
from fdjax.tokenizer import Tokenizer


class PromptTooLong(ConfigError):
    """A prompt over its budget. Cutting it would change the theorem, so it is refused."""


@dataclasses.dataclass(frozen=True)
class Template:
    student: str
    teacher: str
    prefill: str  # how every proof begins; the prompt asks to continue it

    def text(self, theorem: Theorem, feedback: str | None = None) -> str:
        fields = {
            "goal": theorem.goal if theorem.goal is not None else theorem.signature,
            "signature": theorem.signature,
            "name": theorem.name,
            "context": theorem.context,
            "informal": theorem.informal or "",
        }
        if feedback is None:
            return self.student.format(**fields)
        return self.teacher.format(feedback=feedback, **fields)


def bucket(length: int, buckets: Sequence[int], what: str, field: str) -> int:
    """The shortest bucket that holds `length` tokens.

    Raises PromptTooLong naming `what` and the config field to change.
    """
    fitting = [b for b in buckets if b >= length]
    if not fitting:
        raise PromptTooLong(
            f"{what} takes {length} tokens, over the budget of {max(buckets)}: "
            f"raise {field} or leave it out"
        )
    return min(fitting)


def left_padded(prompts: Sequence[Sequence[int]], length: int, pad_id: int):
    """-> tokens i32[B, length], mask bool[B, length]; real tokens at the right."""
    tokens_BP = np.full((len(prompts), length), pad_id, np.int32)
    mask_BP = np.zeros((len(prompts), length), bool)
    for row, ids in enumerate(prompts):
        if ids:
            tokens_BP[row, -len(ids):] = ids
            mask_BP[row, -len(ids):] = True
    return tokens_BP, mask_BP


def fingerprint(text: str) -> int:
    """A stable 32-bit number of a name, to fold into random keys."""
    return zlib.crc32(text.encode())


def read_attempt(
    tokenizer: Tokenizer,
    template: Template,
    theorem: Theorem,
    sample: int,
    tokens: Sequence[int],
    logprobs: Sequence[float],
    finished: bool,
    entropy: float = 0.0,
) -> Attempt:
    """`tokens`: the sampled ids with their end-of-sequence id, without padding."""
    body = tokens[:-1] if finished else tokens
    proof = template.prefill + tokenizer.decode(body)
    offsets = [len(template.prefill) + o for o in tokenizer.offsets(body)]
    return Attempt(
        theorem_id=theorem.id,
        sample=sample,
        segments=(Segment(tuple(int(t) for t in tokens)),),
        logprobs=tuple(float(x) for x in logprobs),
        finished=finished,
        proof=proof,
        offsets=tuple(offsets + [len(proof)] * finished),
        entropy=entropy,
    )
