"""From theorems to prompt ids, and from generated ids back to attempts.

The student's prompt holds the theorem, the teacher's also feedback. Response ids are never
tokenized again: what was generated is what is trained.
"""

import dataclasses
import functools
import tomllib
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from fdjax.config import ConfigError, PromptConfig
from fdjax.lean.extract import NoProof, Span, extract, parse_candidate
from fdjax.lean.report import largest
from fdjax.models.tokenizer import Tokenizer
from fdjax.models.tokenizer.protocol import Message
from fdjax.rollout.until import until_table
from fdjax.types import Attempt, Candidate, Feedback, Segment, Theorem


class PromptTooLong(ConfigError):
    """A prompt over its budget. It is refused, since cutting it would change the theorem."""


@dataclasses.dataclass(frozen=True)
class Template:
    """The texts of prompts, and where in a response the proof is.

    Completion: the prompt ends with the proof's `prefill`, and the response continues the proof.
    In episodes, `retry` with its {answer} stands between two proofs.
    Chat: the prompt is the user's turn, and the response's last fenced Lean block holds the proof.
    Feedback is part of the same turn, or the same text, as the theorem.
    """

    student: str
    teacher: str
    prefill: str = ""  # the beginning of every proof
    until: str = ""  # text that ends the proof of a completion, and its sample, where it occurs
    answer: str = "{proof}"  # the response that gives a proof (without prefill), to learn from
    chat: bool = False
    system: str = ""  # the system's turn, before the user's
    thinking: bool | None = None  # `enable_thinking` of the chat template; None: its default
    fenced: bool = False  # a completion whose proof is found as a chat's
    retry: str = ""  # completion: what follows a proof that was answered, up to the next one

    def text(self, theorem: Theorem, feedback: str | None = None) -> str:
        if feedback is None:
            return self.student.format(**theorem_fields(theorem))
        return self.teacher.format(feedback=feedback, **theorem_fields(theorem))

    def ids(self, tokenizer: Tokenizer, theorem: Theorem, feedback: str | None = None) -> list[int]:
        """The prompt's ids. Raises ConfigError as `encode` does."""
        return self.encode(tokenizer, self.text(theorem, feedback))

    def encode(self, tokenizer: Tokenizer, text: str) -> list[int]:
        """The ids of `text` as the start of a completion, or as the user's turn of a chat.

        Raises ConfigError where the tokenizer has no chat template that takes these turns.
        """
        if not self.chat:
            return tokenizer.encode_prompt(text)
        try:
            return tokenizer.encode_chat(self.messages(text), self.thinking)
        except ValueError as error:
            raise ConfigError(f"prompt.template is a chat: {error}") from error

    def messages(self, text: str) -> list[Message]:
        """The turns of a chat up to the user's first, which is `text`."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": text}]

    def response(self, theorem: Theorem, candidate: Candidate) -> str:
        """A response that gives `candidate`."""
        fields = theorem_fields(theorem)
        if candidate.has_helpers:
            fields["header"] += candidate.helpers.rstrip().lstrip("\n") + "\n\n"
        proof = candidate.proof.removeprefix(self.prefill)
        if (self.chat or self.fenced) and not proof[:1].isspace():
            proof = " " + proof
        return self.answer.format(proof=proof, **fields)

    def response_ids(
        self, tokenizer: Tokenizer, theorem: Theorem, candidate: Candidate
    ) -> list[int] | None:
        """The response that gives `candidate`, with its end-of-sequence id. None for a candidate
        that does not begin with the prefill: the prompt may end with it.
        """
        if not candidate.text.startswith(self.prefill):
            return None
        end = tokenizer.chat_eos_id if self.chat else tokenizer.eos_id
        return [*tokenizer.encode(self.response(theorem, candidate)), end]

    def find_proof(self, response: str, theorem: Theorem, allow_helpers: bool = False) -> Span:
        """The place of the proof in `response`, without prefill; in a chat with its helper lemmas,
        where they are allowed. Raises NoProof, in a chat (or `fenced`) only."""
        if self.chat or self.fenced:
            return extract(response, theorem, allow_helpers)
        end = response.find(self.until) if self.until else -1
        return Span(0, len(response) if end < 0 else end)


def theorem_fields(theorem: Theorem) -> dict[str, str]:
    """The placeholders of a template and their texts."""
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
    """The template of that name in fdjax/rollout/templates, or in a file at that path.

    Raises ConfigError naming the file or the field that is missing or unknown.
    """
    known = sorted(file.stem for file in TEMPLATES.glob("*.toml"))
    file = TEMPLATES / f"{name}.toml" if name in known else Path(name).expanduser()
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


@dataclasses.dataclass(frozen=True)
class Prompts:
    """How theorems become prompts within their budgets, and ids become attempts."""

    tokenizer: Tokenizer
    template: Template
    student_buckets: tuple[int, ...]  # tokens; a batch is padded to the shortest that holds it
    teacher_buckets: tuple[int, ...]
    response_length: int  # tokens
    allow_helpers: bool = False  # may an answer state lemmas before the theorem?
    # The ids of a theorem, and of feedback, that begin a dialogue; None: the template's.
    first_turn: Callable[[Theorem, str | None], list[int]] | None = None

    def until_table(self, vocabulary: int) -> np.ndarray | None:
        """The table by which generation ends a completion at `until`; None without `until`."""
        if self.template.chat or not self.template.until:
            return None
        return until_table(self.tokenizer, self.template.until, vocabulary)

    def ids(self, theorem: Theorem, feedback: str | None = None) -> list[int]:
        """The prompt, of any length."""
        if self.first_turn:
            return self.first_turn(theorem, feedback)
        return self.template.ids(self.tokenizer, theorem, feedback)

    def length(self, theorem: Theorem) -> int:
        """Tokens of the student's prompt."""
        return len(self.ids(theorem))

    def fitting(self, theorems: Iterable[Theorem]) -> list[Theorem]:
        """The theorems whose prompts fit the student's budget."""
        longest = max(self.student_buckets)
        return [t for t in theorems if self.length(t) <= longest]

    def student(self, theorem: Theorem) -> list[int]:
        """The student's prompt. Raises PromptTooLong naming the theorem."""
        ids = self.ids(theorem)
        bucket(len(ids), self.student_buckets, f"theorem {theorem.id}", "prompt.student_buckets")
        return ids

    def teacher(self, theorem: Theorem, feedback: Feedback | None) -> tuple[list[int] | None, int]:
        """(the teacher's prompt, how many of the last messages were dropped to fit the budget)

        Whole messages are dropped, never the theorem. The prompt is None where no message is left.
        """

        @functools.cache
        def ids(kept: int) -> list[int]:
            return self.ids(theorem, "\n".join(feedback.messages[:kept]))

        def fits(kept: int) -> bool:
            return len(ids(kept)) <= max(self.teacher_buckets)

        count = kept = len(feedback.messages) if feedback else 0
        if count and not fits(count):
            kept = largest(0, count - 1, fits)
        return (ids(kept) if kept else None), count - kept

    def find_proof(self, text: str, theorem: Theorem) -> tuple[str, range]:
        """(the proof in a response or turn, with prefill; where each of its characters begins in
        `text`). Characters of the prefill come before the others, at negative places where the text
        begins with the proof. Raises NoProof."""
        prefill = self.template.prefill
        start, end = self.template.find_proof(text, theorem, self.allow_helpers)
        return prefill + text[start:end], range(start - len(prefill), end)


def all_buckets(of: Prompts | PromptConfig) -> list[int]:
    """The student's and the teacher's, ascending."""
    return sorted({*of.student_buckets, *of.teacher_buckets})


def bucket(length: int, buckets: Sequence[int], what: str, field: str) -> int:
    """The shortest bucket that holds `length` tokens.

    Raises PromptTooLong naming `what` and the `field` of the config to change.
    """
    fitting = [b for b in buckets if b >= length]
    if not fitting:
        raise PromptTooLong(
            f"{what} takes {length} tokens, over the budget of {max(buckets)}: "
            f"raise {field} or leave it out"
        )
    return min(fitting)


def shared_bucket(prompts: Sequence[Sequence[int]], buckets: Sequence[int]) -> int:
    """The shortest bucket that holds each of the prompts. Raises PromptTooLong."""
    longest = max(map(len, prompts), default=0)
    return bucket(longest, buckets, "the longest prompt", "prompt.*_buckets")


def left_padded(prompts: Sequence[Sequence[int]], length: int, pad_id: int):
    """(tokens i32[B, length], mask bool[B, length]) with each prompt at the right end of its row"""
    tokens_BP = np.full((len(prompts), length), pad_id, np.int32)
    mask_BP = np.zeros((len(prompts), length), bool)
    for row, ids in enumerate(prompts):
        if ids:
            tokens_BP[row, -len(ids) :] = ids
            mask_BP[row, -len(ids) :] = True
    return tokens_BP, mask_BP


def name_hash(name: str) -> int:
    """A 32-bit hash of a name, the same in every process, to fold into random keys."""
    return zlib.crc32(name.encode())


def ends_with_stop(tokens: Sequence[int], finished: bool, stop_ids: Sequence[int]) -> bool:
    """Did a stop id end what was generated? Else `until` did, which is text, or a budget."""
    return finished and int(tokens[-1]) in stop_ids


def read_attempt(
    prompts: Prompts,
    theorem: Theorem,
    sample: int,
    tokens: Sequence[int],
    logprobs: Sequence[float],
    finished: bool,
    entropy: float = 0.0,
) -> Attempt:
    """The attempt of a response. `tokens` are the generated ids, a stop id that ends them included,
    without padding; they are kept as they are, only their text is parsed.
    """
    tokenizer = prompts.tokenizer
    stopped = ends_with_stop(tokens, finished, tokenizer.stop_ids)
    body = tokens[:-1] if stopped else tokens
    response, refusal = tokenizer.decode(body), None
    try:
        text, places = prompts.find_proof(response, theorem)
    except NoProof as no_proof:
        prefill, refusal = prompts.template.prefill, str(no_proof)
        text, places = prefill + response, range(-len(prefill), len(response))
    starts = [*tokenizer.offsets(body), *[len(response)] * stopped]
    return Attempt(
        theorem_id=theorem.id,
        sample=sample,
        segments=(Segment(tuple(int(t) for t in tokens)),),
        logprobs=tuple(float(x) for x in logprobs),
        finished=finished,
        candidate=parse_candidate(text, theorem, prompts.allow_helpers and refusal is None),
        offsets=tuple(start - places.start for start in starts),
        entropy=entropy,
        refusal=refusal,
    )
