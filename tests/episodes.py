"""Attempts of several turns, made by hand: what a test of learning from them needs."""

from fdjax.types import Attempt, Candidate, Feedback, Message, Segment, Theorem, Verdict

THEOREM = Theorem(id="t", name="t", signature=": True")
FEEDBACK = Feedback(("use this",), "test")
PROOF = " by\n  a\n  b"


def episode(*turns: int, tools: int = 2, first: int = 3, **changes) -> Attempt:
    """Turns of so many tokens, with an answer of `tools` tokens between two of them. The last one
    is a proof of PROOF: each of its tokens begins a character further, the last behind the text.

    Tokens count up from `first`.
    """
    segments: list[Segment] = []
    token = first
    for number, length in enumerate(turns):
        if number:
            segments.append(Segment(tuple(range(token, token + tools)), "tool"))
            token += tools
        segments.append(Segment(tuple(range(token, token + length))))
        token += length
    written = [s.origin == "model" for s in segments for _ in s.tokens]
    before = len(written) - turns[-1]
    places = [-before + i for i in range(before)]
    ends = [6 + i for i in range(turns[-1] - 1)] + [len(PROOF)]
    fields = {
        "logprobs": tuple(-0.5 - 0.1 * i if w else 0.0 for i, w in enumerate(written)),
        "finished": True,
        "candidate": Candidate(PROOF),
        "offsets": (*places, *ends),
    }
    return Attempt("t", 0, tuple(segments), **fields | changes)


def refused(place: int | None = None, kind: str = "", status="failed") -> Verdict:
    """By an error at `place` in PROOF; of an unsolved goal, `place` is its end."""
    if place is None:
        return Verdict(status)
    start = 0 if kind else place
    end = place if kind else place + 1
    return Verdict(status, (Message("error", "no", kind, start, end),))


def spoken(tokenizer, *texts: str, proof: str = PROOF, **changes) -> Attempt:
    """The texts by turns: the model's, what is answered to it, the model's, and so on. The judged
    text stands in none of them."""
    segments = tuple(
        Segment(tuple(tokenizer.encode(text)), "tool" if i % 2 else "model")
        for i, text in enumerate(texts)
    )
    count = sum(len(segment.tokens) for segment in segments)
    fields = {
        "logprobs": (-0.1,) * count,
        "finished": True,
        "candidate": Candidate(proof),
        "offsets": (-1,) * count,
    }
    return Attempt("t", 0, segments, **fields | changes)
