"""From theorems to prompt ids, and from sampled ids back to attempts.

The student sees the theorem; the teacher sees the theorem and feedback. Response ids are never
tokenized anew: what was sampled is what is trained.
"""

import dataclasses
import tomllib
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fdjax.config import ConfigError
from fdjax.lean.extract import NoProof, Span, extract, parse_candidate
from fdjax.models.tokenizer import Tokenizer
from fdjax.types import Attempt, Candidate, Segment, Theorem


class PromptTooLong(ConfigError):
    """A prompt over its budget. Cutting it would change the theorem, so it is refused."""


@dataclasses.dataclass(frozen=True)
class Template:
    """What a model is asked, and where in its response the proof is.

    A completion: the prompt ends where the proof, of which it holds `prefill`, is to go on. A chat:
    the prompt is the user's turn, and the answer's last fenced Lean block holds the proof. Feedback
    stands in the same turn, or the same text, as the theorem.
    """

    student: str
    teacher: str
    prefill: str = ""  # how every proof begins
    until: str = ""  # ends the proof in a completion, if it comes
    answer: str = "{proof}"  # a known proof (without prefill) as a response, to learn from
    chat: bool = False
    system: str = ""  # what is said before the user's turn
    thinking: bool | None = None  # `enable_thinking` of the chat template; None: its default

    def text(self, theorem: Theorem, feedback: str | None = None) -> str:
        if feedback is None:
            return self.student.format(**theorem_fields(theorem))
        return self.teacher.format(feedback=feedback, **theorem_fields(theorem))

    def ids(self, tokenizer: Tokenizer, theorem: Theorem, feedback: str | None = None) -> list[int]:
        """Raises ConfigError as `encode` does."""
        return self.encode(tokenizer, self.text(theorem, feedback))

    def encode(self, tokenizer: Tokenizer, text: str) -> list[int]:
        """`text` as what is to be gone on with, or as the user's turn.

        Raises ConfigError where the tokenizer has no chat template that takes these turns.
        """
        if not self.chat:
            return tokenizer.encode_prompt(text)
        turns = [{"role": "user", "content": text}]
        if self.system:
            turns.insert(0, {"role": "system", "content": self.system})
        try:
            return tokenizer.encode_chat(turns, self.thinking)
        except ValueError as error:
            raise ConfigError(f"prompt.template is a chat: {error}") from error

    def response(self, theorem: Theorem, candidate: Candidate) -> str:
        """A response that gives `candidate`."""
        fields = theorem_fields(theorem)
        if candidate.has_helpers:
            fields["header"] += candidate.helpers.rstrip().lstrip("\n") + "\n\n"
        proof = candidate.proof.removeprefix(self.prefill)
        if self.chat and not proof[:1].isspace():
            proof = " " + proof
        return self.answer.format(proof=proof, **fields)

    def response_ids(
        self, tokenizer: Tokenizer, theorem: Theorem, candidate: Candidate
    ) -> list[int]:
        """The response that gives `candidate`, with its end-of-sequence id."""
        end = tokenizer.chat_eos_id if self.chat else tokenizer.eos_id
        return [*tokenizer.encode(self.response(theorem, candidate)), end]

    def find_proof(self, response: str, theorem: Theorem, allow_helpers: bool = False) -> Span:
        """Where `response` holds the proof, without prefill; in a chat with its helpers, where they
        are allowed. Raises NoProof, in a chat."""
        if self.chat:
            return extract(response, theorem, allow_helpers)
        end = response.find(self.until) if self.until else -1
        return Span(0, len(response) if end < 0 else end)


def theorem_fields(theorem: Theorem) -> dict[str, str]:
    """What a template can name of a theorem."""
    imports = "".join(f"import {module}\n" for module in theorem.imports)
    parts = (part.strip("\n") for part in (imports, theorem.context) if part.strip())
    return {
        "goal": theorem.goal if theorem.goal is not None else theorem.signature,
        "signature": theorem.signature,
        "name": theorem.name,
        "context": theorem.context,
        "informal": theorem.informal or "",
        "header": "".join(f"{part}\n\n" for part in parts),
        "doc": f"/-- {theorem.informal}-/\n" if theorem.informal else "",
    }


def read_template(name: str) -> Template:
    """One of fdjax/rollout/templates, by name, or a file of that form, by path.

    Raises ConfigError naming what is missing or unknown.
    """
    known = sorted(file.stem for file in TEMPLATES.glob("*.toml"))
    file = TEMPLATES / f"{name}.toml" if name in known else Path(name)
    try:
        fields = tomllib.loads(file.read_text())
        return Template(**fields)
    except OSError as error:
        raise ConfigError(
            f"prompt.template={name}: no such file, and none of {', '.join(known)}"
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"prompt.template={name}: {error}") from error


TEMPLATES = Path(__file__).parent / "templates"


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
            tokens_BP[row, -len(ids) :] = ids
            mask_BP[row, -len(ids) :] = True
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
    allow_helpers: bool = False,
) -> Attempt:
    """`tokens`: the sampled ids with their end-of-sequence id, without padding. They are kept as
    they are; only their text is read.
    """
    body = tokens[:-1] if finished else tokens
    response, prefill, refusal = tokenizer.decode(body), len(template.prefill), None
    try:
        found = template.find_proof(response, theorem, allow_helpers)
    except NoProof as no_proof:
        found, refusal = Span(0, len(response)), str(no_proof)
    places = [*tokenizer.offsets(body), *[len(response)] * finished]
    text = template.prefill + response[found.start : found.end]
    return Attempt(
        theorem_id=theorem.id,
        sample=sample,
        segments=(Segment(tuple(int(t) for t in tokens)),),
        logprobs=tuple(float(x) for x in logprobs),
        finished=finished,
        candidate=parse_candidate(text, theorem, allow_helpers and refusal is None),
        offsets=tuple(prefill + place - found.start for place in places),
        entropy=entropy,
        refusal=refusal,
    )
