"""The proof in a chat model's answer: the last fenced Lean block that proves our statement.

Only what follows `:=` is taken; Lean is given it behind a statement of our own, so a restated one
that differs can never prove anything else. It is compared all the same: whoever proves another
theorem is told so, rather than what Lean says of the misfit.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from fdjax.data.theorems import Theorem
from fdjax.lean.audit import Refused, Token, tokenize

_BLOCK = re.compile(r"```[ \t]*lean[ \t]*4?\b[^\n]*\n(?P<code>.*?)(?=```|\Z)", re.S | re.I)
_DOC_COMMENT = re.compile("/-[-!]")
_HELPERS = frozenset({
    "theorem", "lemma", "example", "def", "abbrev", "instance", "opaque", "axiom", "structure",
    "class", "inductive", "coinductive", "mutual", "macro", "macro_rules", "syntax", "notation",
    "infix", "infixl", "infixr", "prefix", "postfix", "elab", "elab_rules", "attribute", "alias",
    "declare_syntax_cat", "irreducible_def", "run_cmd", "initialize",
})


class Span(NamedTuple):
    """The proof is `answer[start:end]`: what follows `:=`, without the space behind it."""

    start: int
    end: int


class NoProof(ValueError):
    """No proof can be taken from the answer; says why."""


def extract(answer: str, theorem: Theorem) -> Span:
    """Where in `answer` the proof of `theorem` is.

    The block restates the theorem as ours token by token (modulo space, comments, and `lemma` for
    `theorem`); imports, options and opened namespaces may stand before it and are ignored, as is
    our own context. The end of the answer ends a block that is not closed. Raises NoProof for an
    answer without such a block, and for one that declares other things before the theorem.
    """
    blocks = list(_BLOCK.finditer(answer))
    if not blocks:
        raise NoProof("the answer holds no fenced Lean block (```lean4)")
    ours = _words(f"{theorem.name} {theorem.signature} :=")
    nearest = f"no Lean block of the answer states theorem {theorem.name}"
    for block in reversed(blocks):
        tokens = _tokens(block["code"])
        words = [token.text for token in tokens]
        for i in (i for i, word in enumerate(words) if word in ("theorem", "lemma")):
            stated = words[i + 1 : i + 1 + len(ours)]
            if stated == ours:
                _refuse_helpers(words[:i], theorem)
                start = block.start("code") + tokens[i + len(ours)].end
                return Span(start, start + len(answer[start : block.end("code")].rstrip()))
            if stated[:1] == ours[:1] and nearest.startswith("no Lean"):
                nearest = f"the answer states {theorem.name} differently: {_misfit(stated, ours)}"
    raise NoProof(nearest)


def _tokens(code: str) -> list[Token]:
    """Those before the first thing that Lean's tokenizer is refused over: the statement stands
    before it, or the audit will say what it is."""
    code = _DOC_COMMENT.sub("/- ", code)  # they belong to our declaration, here
    try:
        return tokenize(code)
    except Refused as refused:
        _, place, _ = refused.args
    try:
        return tokenize(code[:place])
    except Refused:
        return []


def _words(code: str) -> list[str]:
    return [token.text for token in _tokens(code)]


def _refuse_helpers(before: Sequence[str], theorem: Theorem) -> None:
    context = _words(theorem.context)
    for i in range(len(before) - len(context) + 1 if context else 0):
        if before[i : i + len(context)] == context:
            before = [*before[:i], *before[i + len(context) :]]
            break
    if helper := next((word for word in before if word in _HELPERS), None):
        raise NoProof(
            f"`{helper}` before the theorem: helper declarations are not allowed, "
            "what they show must be shown inside the proof"
        )


def _misfit(stated: Sequence[str], ours: Sequence[str]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(stated, ours)) if a != b), len(stated))
    there = " ".join(stated[at : at + 5]) or "nothing"
    here = " ".join(ours[at : at + 5])
    return f"`{there}` where the statement has `{here}`".replace(": =", ":=")
