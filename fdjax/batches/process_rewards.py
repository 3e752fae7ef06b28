"""Process rewards: Lean's marks of the steps of a proof, as advantages of tokens.

The steps are the lines of the judged proof that hold more than comments, and the end of it. Those
before Lean's first error are sound, it and all behind it are not (first-error propagation). A
group's steps are compared with each other as GRPO compares its attempts:

    P_it = c (s_ik - mean of the group's s)     at tokens of step k that get the credit, else 0

s is 1 for a sound step, else 0. After Process-Verified RL (Kim and Yun, arXiv 2606.20068), of which
the marks, the propagation and the credit of first tokens are taken; its formula was not at hand.
"""

import bisect
import re
from collections.abc import Iterator, Sequence

import numpy as np

from fdjax.batches.token_weights import first_token_at, judged_tokens
from fdjax.lean.tokens import Refused, read_tokens
from fdjax.types import DECIDED, Attempt, Candidate, Group, Verdict

Steps = list[int | None]  # per token
Marks = list[bool | None]  # per step; None: not known

# An error of Lean's parser inside of a theorem: Lean then reports nothing else about it, so that
# what stands before may be wrong, too. One that expects a command stands behind a whole theorem.
_PARSE_ERROR = re.compile(
    r"(?:un)?expected\b(?!.*expected command\Z)|unknown tactic|unterminated|invalid escape"
    r"|missing end",
    re.DOTALL,
)


def process_advantages(
    group: Group, coefficient: float, *, credit: str, use_std: bool = False
) -> list[list[float]]:
    """P_it per attempt and token; 0 where nothing is marked. With `use_std` over (std + 1e-4), the
    sample standard deviation of the group's marks. `credit`: "first", a step's first token, or
    "all" of its tokens.
    """
    steps = [proof_steps(attempt) for _, attempt, _, _ in group]
    marks = [sound_steps(a, v, of_token) for (_, a, v, _), of_token in zip(group, steps)]
    given = [mark for of_attempt in marks for mark in of_attempt if mark is not None]
    known = np.array(given, np.float64)
    mean = known.mean() if known.size else 0.0
    deviation = known.std(ddof=1) if known.size > 1 else 0.0
    scale = coefficient / (deviation + 1e-4) if use_std else coefficient
    credited = list if credit == "all" else _first_tokens

    def advantage(of_step: Marks, step: int | None) -> float:
        mark = of_step[step] if of_step and step is not None else None
        return 0.0 if mark is None else scale * (mark - mean)

    return [
        [advantage(of_step, step) for step in credited(of_token)]
        for of_token, of_step in zip(steps, marks)
    ]


def _first_tokens(steps: Steps) -> Iterator[int | None]:
    """`steps`, with None in place of all but the first token of each."""
    seen = set()
    for step in steps:
        yield None if step in seen else step
        seen.add(step)


def proof_steps(attempt: Attempt) -> Steps:
    """The step of the judged proof that each token belongs to, from 0; None outside of the proof
    and its end. No steps are lines that no token begins in, and those of comments and space: Lean
    finds every one of them sound.
    """
    text, code = attempt.candidate.text, _lines_of_code(attempt.candidate)
    lines: Steps = [None] * len(attempt.offsets)
    for index in judged_tokens(attempt):
        offset = attempt.offsets[index]
        if offset >= len(text):
            lines[index] = text.count("\n") + 1
        elif offset >= 0 and (line := text.count("\n", 0, offset)) in code:
            lines[index] = line
    numbers = {line: n for n, line in enumerate(sorted({x for x in lines if x is not None}))}
    return [None if line is None else numbers[line] for line in lines]


def _lines_of_code(candidate: Candidate) -> set[int]:
    """The lines, from 0, that a token of Lean's begins in, and all from a text that our tokenizer
    refuses on."""
    text = candidate.helpers + candidate.text[len(candidate.helpers) :]
    breaks = [match.start() for match in re.finditer("\n", text)]
    lines = set()
    try:
        for token in read_tokens(text):
            lines.add(bisect.bisect_left(breaks, token.start))
    except Refused as refused:
        _, place, _ = refused.args
        lines.update(range(bisect.bisect_left(breaks, place), len(breaks) + 1))
    return lines


def sound_steps(attempt: Attempt, verdict: Verdict, steps: Sequence[int | None]) -> Marks:
    """Per step: does it stand before Lean's first error? Empty where Lean did not decide, or
    refused the attempt without a place in it. Steps before the place where the audit or Lean's
    parser stopped were not verified: None.

    An unsolved goal is the error of what follows its tactics, not of the last of them.
    """
    count = max((step + 1 for step in steps if step is not None), default=0)
    if verdict.status not in DECIDED or attempt.refusal is not None:
        return []
    if verdict.proved:
        return [True] * count
    error, place = verdict.first_error_message, verdict.first_error
    wrong = None if place is None else first_token_at(attempt, place)
    if wrong is None:
        return []
    if place != error.start:
        first_wrong = len({step for step in steps[:wrong] if step is not None})
    else:
        first_wrong = next((step for step in steps[wrong:] if step is not None), count)
    verified = verdict.status != "rejected" and not _PARSE_ERROR.match(error.text)
    return [(verified or None) if step < first_wrong else False for step in range(count)]
