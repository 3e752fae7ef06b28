"""The nouns that all packages share: theorems, attempts, verdicts, feedback, groups."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

# --- Theorems ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Theorem:
    """A statement to prove. All of its text is ours and trusted, never a model's.

    The Lean text is `{context}\\n\\ntheorem {name} {signature} := {proof}`.
    """

    id: str
    name: str
    signature: str  # binders, colon, type: "(p q : Prop) (h : p ∧ q) : q ∧ p"
    imports: tuple[str, ...] = ()  # modules beyond Lean's Init
    context: str = ""  # trusted options, opens, definitions before the theorem
    goal: str | None = None  # the initial goal as Lean prints it: "h : p ∧ q\\n⊢ q ∧ p"
    reference: str | None = None  # a known proof: what follows `:=`
    informal: str | None = None
    split: str | None = None


# --- Attempts ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An answer to a theorem, parsed once by `lean.extract.parse_candidate`. One without helper
    lemmas is `Candidate(proof)`."""

    # What follows `:=`. With helper lemmas everything from the first lemma on, including the
    # theorem as the answer restates it.
    text: str
    main_start: int = 0  # offset in `text` of the theorem's own proof; 0 without helper lemmas
    # What precedes the answer's statement, as Lean is given it: of the same length as in `text`,
    # doc comments turned into plain ones, repetitions of the theorem's context into spaces.
    helpers: str = ""

    @property
    def proof(self) -> str:
        """What follows `:=` of the theorem itself."""
        return self.text[self.main_start :]

    @property
    def has_helpers(self) -> bool:
        return self.main_start > 0


@dataclasses.dataclass(frozen=True)
class Segment:
    """Consecutive token ids of one author. Tool tokens are attended to and never trained on."""

    tokens: tuple[int, ...]
    origin: Literal["model", "tool"] = "model"


@dataclasses.dataclass(frozen=True)
class Attempt:
    theorem_id: str
    sample: int  # index within the theorem's group
    segments: tuple[Segment, ...]
    logprobs: tuple[float, ...]  # the generator's, per token; 0 for tool tokens
    # Ended by a stop id, or by the text `until`: both are kept among the tokens. Of an episode: the
    # environment ended it, and its last turn ended so.
    finished: bool
    candidate: Candidate  # its text is the template's prefill and the proof in the response
    # Where each token's text starts, in characters from the start of `candidate.text`: negative for
    # tokens before that text, len(text) or more for tokens after it. All are negative where no
    # token wrote the text.
    offsets: tuple[int, ...]
    entropy: float = 0.0  # mean over the model's tokens of their distributions' entropy, nats
    # Why no proof could be read; `candidate.text` is then the whole response.
    refusal: str | None = None
    # Of an episode of several turns (fdjax/environment):
    calls: int = 0  # of tools, malformed ones included
    malformed: int = 0  # those not run: unreadable, of no tool, with wrong arguments
    tool_seconds: float = 0.0  # of Lean, spent by tools; the verdict's are its own

    @property
    def turns(self) -> int:
        """The model's; an attempt of one answer has one."""
        return sum(segment.origin == "model" for segment in self.segments)

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(t for s in self.segments for t in s.tokens)

    @property
    def trained(self) -> tuple[bool, ...]:
        """Per token: did the model itself write it?"""
        return tuple(s.origin == "model" for s in self.segments for _ in s.tokens)


# --- Verdicts ------------------------------------------------------------------------------------

Status = Literal["proved", "failed", "rejected", "timeout", "crashed"]

# The statuses that decide about the proof; with the others Lean came to no decision.
DECIDED = frozenset({"proved", "failed", "rejected"})
REFUSED = DECIDED - {"proved"}

REPLAY = "replay"  # kind of the message when the kernel refuses a proof on replay


@dataclasses.dataclass(frozen=True)
class Message:
    """One message of Lean's (or of the audit), placed in the candidate's text."""

    severity: Literal["error", "warning", "information"]
    text: str
    kind: str = ""  # Lean's own tag: "hasSorry", "Tactic.unsolvedGoals", ... or "audit"
    start: int | None = None  # offsets into `Candidate.text`, in characters;
    end: int | None = None  # None where the message is not about a place in it

    @property
    def place(self) -> int | None:
        """Where the text goes wrong: the start of the message's range. For an unsolved goal it is
        the end, because the range is the tactic block and a step is missing behind it."""
        return self.end if self.kind == "Tactic.unsolvedGoals" else self.start


@dataclasses.dataclass(frozen=True)
class Verdict:
    """`proved` needs positive evidence for exactly this theorem; silence is never success."""

    status: Status
    messages: tuple[Message, ...] = ()
    axioms: tuple[str, ...] = ()
    seconds: float = 0.0  # wall time of Lean attributed to this candidate
    backend: str = ""
    from_cache: bool = False

    @property
    def proved(self) -> bool:
        return self.status == "proved"

    @property
    def refused_on_replay(self) -> bool:
        return any(m.kind == REPLAY for m in self.messages)

    @property
    def first_error_message(self) -> Message | None:
        """The one with the first place in the text; errors without a place come last."""
        errors = [m for m in self.messages if m.severity == "error"]
        return min(errors, key=lambda m: (m.place is None, m.place or 0), default=None)

    @property
    def first_error(self) -> int | None:
        """Offset in `Candidate.text` where it first goes wrong; None: unknown."""
        error = None if self.proved else self.first_error_message
        return error and error.place


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """A dict for `json.dumps`; `verdict_from_json` gives the verdict back."""
    return dataclasses.asdict(verdict)


def verdict_from_json(data: dict[str, Any]) -> Verdict:
    """Raises ValueError, KeyError or TypeError if `data` is not what `verdict_to_json` wrote."""
    if data["status"] not in get_args(Status):
        raise ValueError(f"unknown status {data['status']!r}")
    messages = tuple(Message(**message) for message in data["messages"])
    return Verdict(**data | {"messages": messages, "axioms": tuple(data["axioms"])})


# --- Feedback ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Feedback:
    """Feedback on one attempt. Without messages it only records costs and problems."""

    messages: tuple[str, ...]  # the most useful first: over a budget, the last ones are dropped
    provider: str
    tokens: int = 0  # cost: tokens that a language model read and wrote
    seconds: float = 0.0  # cost: wall time
    leak: float = 0.0  # overlap with a reference proof, 0..1
    first_error: int | None = None  # offset in `Candidate.text` where the attempt first goes wrong
    proof: Candidate | None = None  # the proof that the messages lead to, if there is one
    money: float = 0.0  # cost: in the currency of feedback.llm.price_in
    requests: int = 0  # to a language model, also those that a cache answered
    failed_requests: int = 0  # those of them without a useful answer
    problems: tuple[str, ...] = ()  # also those that a retry solved
    own_flops: int = 0  # cost: of the policy in training, where it wrote the feedback

    @property
    def text(self) -> str:
        return "\n".join(self.messages)


Item = tuple[Theorem, Attempt, Verdict]


Feedbacks = list[list[Feedback | None]]  # of groups of attempts


@dataclasses.dataclass(frozen=True)
class FeedbackContext:
    """The state of training when feedback is requested."""

    stream: str  # with `step`: names the random numbers of what the policy writes
    step: int
    params: Any = None  # of the policy; None for providers that do not sample it
    teacher_params: Any = None  # of the teacher (an average, or the start), if the stage keeps one
    requested: Sequence[Sequence[bool]] | None = None  # on which attempts; None: on all

    def is_requested(self, group: int, index: int) -> bool:
        """Providers without costs may ignore it."""
        return self.requested is None or self.requested[group][index]


class Provider(Protocol):
    """Whole groups in, whole groups out, so that providers may compare attempts or compose."""

    async def __call__(
        self, groups: Sequence[Sequence[Item]], context: FeedbackContext
    ) -> Feedbacks: ...


Group = list[tuple[Theorem, Attempt, Verdict, Feedback | None]]  # the attempts at one theorem
