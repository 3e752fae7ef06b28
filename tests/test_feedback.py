"""Feedback providers on hand-made attempts and on synthetic theorems."""

import asyncio
import dataclasses

import pytest

from fdjax.benchmark.dialects import hint
from fdjax.config import ConfigError, FeedbackConfig, PeersConfig, default, read
from fdjax.feedback import providers
from fdjax.feedback.compose import first, most_agreed, shuffled
from fdjax.feedback.lean_messages import lean_messages
from fdjax.feedback.metrics import feedback_metrics
from fdjax.feedback.oracle import oracle
from fdjax.feedback.peers import peers
from fdjax.feedback.providers import PROVIDERS, Resources, make_provider, manifest_fields
from fdjax.lean.audit import audit
from fdjax.runtime import hosts
from fdjax.types import Attempt, Candidate, Feedback, FeedbackContext, Message, Theorem, Verdict

AND = Theorem(
    id="and",
    name="and",
    signature="(p q : Prop) (h1 : p ∧ q) : q ∧ p",
    goal="h1 : p ∧ q\n⊢ q ∧ p",
    reference=" by\n  exact ⟨h1.2, h1.1⟩",
)
FOREIGN = Theorem("f", "f", "(z : ℂ) : z = z", reference=" by\n  rfl")
FAILED = Verdict("failed")


def attempt(proof):
    return Attempt("and", 0, (), (), True, Candidate(proof), ())


def ask(provider, *groups):
    return asyncio.run(provider(list(groups), FeedbackContext("fd", 0)))


def one(level, proof, verdict=FAILED, theorem=AND):
    provider = lean_messages if level in ("verdict", "error", "hint") else oracle
    [[feedback]] = ask(provider(level), [(theorem, attempt(proof), verdict)])
    return feedback


def test_error_quotes_the_line_of_the_first_error():
    proof = " by\n  constructor\n  exact h2\n  exact h1"
    late = Message("error", "late", start=proof.index("exact h1"))
    first = Message("error", "unknown identifier 'h2'", start=proof.index("h2"))
    feedback = one("error", proof, Verdict("failed", (late, first)))
    assert feedback.messages == ("Lean refuses exact h2", "unknown identifier 'h2'")
    assert feedback.first_error == proof.index("h2")


def test_an_empty_proof_is_quoted_as_nothing():
    empty = audit("")
    feedback = one("error", "", Verdict("rejected", (empty,)))
    assert feedback.messages == ("Lean refuses nothing", empty.text) and feedback.first_error == 0


def test_an_open_goal_is_wrong_where_the_tactics_end():
    proof = " by\n  constructor\n  exact h1.2"
    goal = Message("error", "unsolved goals\n⊢ p", "Tactic.unsolvedGoals", 1, len(proof))
    assert Verdict("failed", (goal,)).first_error == len(proof)
    assert one("verdict", proof, Verdict("failed", (goal,))).first_error == len(proof)


@pytest.mark.parametrize(
    "line, advice",
    [
        ("cases h1 with h2 h3", "use obtain ⟨h2, h3⟩ := h1 or rcases h1 with h2 | h3"),
        ("cases h1.2 with x h3", "use obtain ⟨x, h3⟩ := h1.2 or rcases h1.2 with x | h3"),
        ("split", "use constructor"),
        ("exact or.inl h1", "use Or.inl"),
        ("rw [← nat.add_comm]", "use Nat.add_comm"),
    ],
)
def test_hint_names_todays_form_before_leans_error(line, advice):
    proof = f" by\n  {line}\n  exact h1"
    error = Message("error", "unknown tactic", start=proof.index(line) + 1)
    feedback = one("hint", proof, Verdict("failed", (error,)))
    assert feedback.messages == (advice, f"Lean refuses {line}", "unknown tactic")
    assert feedback.first_error == error.start and feedback.provider == "lean_messages: hint"
    # What the warm start answers is Lean 4; no message shows it.
    assert feedback.proof.text.startswith(" by\n  ") and feedback.proof.text not in feedback.text
    assert hint(feedback.proof.text) is None


def test_no_hint_where_the_refused_line_is_todays():
    proof = " by\n  exact h1\n  cases h1 with h2 h3"
    error = Message("error", "type mismatch", start=proof.index("exact"))
    verdict = Verdict("failed", (error,))
    assert one("hint", proof, verdict) == one("error", proof, verdict)
    assert one("hint", proof, Verdict("proved")).text == "Lean accepts it"
    assert one("hint", proof, Verdict("timeout")) is None


def test_what_could_not_be_verified_gets_no_verdict():
    assert one("verdict", " by", Verdict("timeout")) is None
    assert one("verdict", " by", Verdict("proved")).text == "Lean accepts it"
    assert one("verdict", " by").text == "Lean refuses it"


@pytest.mark.parametrize("level", ["verdict", "error", "hint"])
@pytest.mark.parametrize("status", ["crashed", "timeout"])
def test_messages_of_an_attempt_that_lean_did_not_decide_are_no_feedback(level, status):
    proof = " by\n  split"
    for start in (None, proof.index("split")):
        message = Message("error", "Lean ended without a report", start=start)
        assert one(level, proof, Verdict(status, (message,))) is None


def test_step_says_what_to_write_after_the_last_good_line():
    bad = " by\n  constructor\n  exact h1.1\n  exact h1.2"
    feedback = one("step", bad)
    assert feedback.text.startswith("after constructor use ")
    assert feedback.first_error >= bad.index("exact h1.1")
    assert feedback.proof.text.startswith(" by\n  constructor\n")


def test_prose_says_what_lean_4_has_in_place_of_lean_3():
    feedback = one("prose", " by\n  split\n  exact h1.2\n  exact h1.1")
    assert feedback.text == (
        "Lean 4 does not take `split`: use constructor. Begin with `exact ⟨h1.2, h1.1⟩`."
    )
    assert feedback.first_error == len(" by\n  ") and feedback.provider == "oracle: prose"
    bad = " by\n  constructor\n  exact h1.1\n  exact h1.2"
    said, step = one("prose", bad), one("step", bad)
    assert said.text.startswith("After `constructor` write `")
    assert (said.proof, said.first_error) == (step.proof, step.first_error)


@pytest.mark.parametrize("empty", range(5))
def test_step_on_a_proof_repeats_one_of_its_lines(empty):
    good = " by\n  constructor" + "\n" * empty + "\n  exact h1.2\n  exact h1.1"
    feedback = one("step", good, Verdict("proved"))
    lines = ["constructor", "exact h1.2", "exact h1.1"]
    messages = ["begin with constructor", *(f"after {a} use {b}" for a, b in zip(lines, lines[1:]))]
    assert (
        feedback.text in messages and feedback.first_error is None and feedback.proof.text == good
    )


def test_correction_keeps_the_good_part():
    bad = " by\n  constructor\n  exact h1.1\n  exact h1.2"
    feedback = one("correction", bad)
    assert feedback.proof.text.startswith(" by\n  constructor\n  ")
    assert feedback.text == "a proof is" + feedback.proof.text.removeprefix(" by")


@pytest.mark.parametrize("extra", ["", "\n  done", "x"])
def test_the_first_error_is_where_the_texts_differ(extra):
    known = one("proof", " by\n  constructor").proof.text
    feedback = one("proof", known + extra)
    assert feedback.first_error == (len(known) if extra else None)
    assert one("proof", known[:-1]).first_error == len(known) - 1
    assert one("proof", " by\n  #").first_error == len(" by\n  ")


def test_theorems_that_the_interpreter_cannot_read():
    assert one("step", " by\n  rfl", theorem=FOREIGN) is None
    assert one("correction", " by\n  rfl", theorem=FOREIGN) is None
    assert one("proof", " by\n  simp", theorem=FOREIGN).proof.text == FOREIGN.reference


def test_a_proof_that_lean_refused_gets_no_false_praise():
    good = " by\n  exact ⟨h1.2, h1.1⟩"
    assert one("step", good) is None and one("correction", good) is None
    assert one("correction", good, Verdict("proved")).proof.text == good


def test_shuffled_takes_text_from_another_theorem_and_keeps_the_first_error():
    async def echo(groups, context):
        return [
            [Feedback((t.id,), "echo", first_error=i) for i, (t, _, _) in enumerate(g)]
            for g in groups
        ]

    def group(name, size):
        return [(Theorem(name, name, ": True"), attempt(""), Verdict("failed"))] * size

    out = ask(shuffled(echo), group("a", 3), group("b", 1), group("c", 2))
    assert [[f.text for f in g] for g in out] == [["b"] * 3, ["c"], ["a"] * 2]
    assert [f.first_error for f in out[0]] == [0, 1, 2]
    assert out[0][0].provider == "shuffled echo"
    out = ask(shuffled(echo), group("a", 1), group("a", 1), group("b", 1))
    assert [[f.text for f in g] for g in out] == [["b"], ["b"], ["a"]]  # never its own
    assert ask(shuffled(echo), group("a", 2), group("a", 2)) == [[None] * 2] * 2


def config_of(**changes):
    config = default()
    config.feedback.update_from_flattened_dict(changes)
    return read(config).feedback


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "oracle.level",
            "error",
            "oracle.level is 'error', must be one of step, prose, correction, proof",
        ),
        ("lean_messages.level", "step", "lean_messages.level is 'step', must be one of verdict, e"),
        ("provider", "diagnostics", "provider is 'diagnostics', must be one of lean_messages, or"),
        ("provider", "peers,,llm", "provider is 'peers,,llm'"),
        ("provider", "llm,llm", "name each provider once"),
        ("provider", "llm", "llm.model is not set"),
        ("draws", 0, "draws is 0, must be at least 1"),
        ("leak_limit", 1.5, "leak_limit is 1.5, must be at most 1"),
        ("reference.max_requests", -1, "reference.max_requests is -1, must be at least 0"),
        ("reference.max_requests", 1, "llm.model is not set"),
        ("peers.successes", 0, "peers.successes is 0, must be at least 1"),
        ("peers.order", "best", "peers.order is 'best', must be one of first, nearest"),
        ("peers.own", "yes", "peers.own is 'yes', must be one of never, alone, always"),
        ("llm.cache", "/dev/null/answers", "^feedback.llm.cache: /dev/null/answers cannot be writ"),
        ("llm.cache", "/", "^feedback.llm.cache: / cannot be written to"),
        ("llm.prompt", "nowhere.txt", "^feedback.llm.prompt: .*neither one of feedback.v1"),
        ("policy.prompt", "{gaol}", "policy.prompt='{gaol}' is no template"),
        ("policy.response_length", 0, "policy.response_length is 0, must be at least 1"),
        ("policy.temperature", -1.0, "policy.temperature is -1.0, must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(monkeypatch, tmp_path, field, value, message):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    changes = {field: value}
    if field.split(".")[0] in ("policy", "reference"):
        changes["provider"] = field.split(".")[0]
    if field in ("llm.prompt", "llm.cache"):
        changes |= {"provider": "llm", "llm.model": "m"}
    with pytest.raises(ConfigError, match=message):
        make_provider(config_of(**changes), Resources(None, None, tmp_path, 0, 1))


# --- Peers ---------------------------------------------------------------------------------------


def show(**changes):
    return peers(PeersConfig(**changes))


def group_of(*tries):
    """(proof, status) -> items of one theorem."""
    reason = (Message("error", "no such lemma"),)
    return [
        (
            AND,
            Attempt("and", i, (), (), True, Candidate(f" by\n  {proof}"), ()),
            Verdict(status, reason if status == "failed" else ()),
        )
        for i, (proof, status) in enumerate(tries)
    ]


def test_peers_show_the_first_success_and_where_the_attempt_differs():
    group = group_of(("simp", "failed"), ("exact a", "proved"), ("exact b", "proved"))
    [[failed, one, two]] = ask(show(), group)
    assert failed.messages == ("a proof is\n  exact a",) and failed.proof.text == " by\n  exact a"
    assert failed.first_error == len(" by\n  ")
    assert one.messages == ("a proof is\n  exact b",)  # a success sees another, not itself
    assert one.first_error == len(" by\n  exact ")
    assert two.proof.text == " by\n  exact a"


def test_peers_show_more_successes_each_text_once():
    group = group_of(
        ("x", "failed"),
        ("a", "proved"),
        ("x", "failed"),
        ("a", "proved"),
        ("b", "proved"),
        ("y", "failed"),
        ("z", "rejected"),
    )
    [feedbacks] = ask(show(successes=2), group)
    assert feedbacks[0].messages == ("a proof is\n  a", "a proof is\n  b")
    assert feedbacks[4].messages == ("a proof is\n  a",)


def test_peers_that_have_nothing_to_show():
    lone = group_of(("x", "failed"), ("a", "proved"), ("a", "proved"), ("t", "timeout"))
    [feedbacks] = ask(show(), lone)
    assert feedbacks[0].proof.text == " by\n  a" and feedbacks[1:] == [None, None, None]
    [feedbacks] = ask(show(own="alone"), lone)
    assert (
        feedbacks[1].proof.text == " by\n  a"
        and feedbacks[1].first_error is None
        and feedbacks[3] is None
    )
    [feedbacks] = ask(show(own="alone"), group_of(("x", "failed")))
    assert feedbacks == [None]


def test_the_nearest_peers_begin_as_the_attempt_does():
    group = group_of(("ab x", "failed"), ("b", "proved"), ("abc", "proved"), ("ab y", "proved"))
    [feedbacks] = ask(show(successes=2, order="nearest"), group)
    assert feedbacks[0].messages == ("a proof is\n  ab y", "a proof is\n  abc")
    assert feedbacks[0].proof.text == " by\n  ab y" and feedbacks[0].first_error == len(
        " by\n  ab "
    )
    assert feedbacks[2].proof.text == " by\n  ab y"  # a success, too, is shown another one


def test_a_success_may_always_be_shown_itself():
    group = group_of(("x", "failed"), ("a", "proved"), ("b", "proved"))
    [feedbacks] = ask(show(own="always"), group)
    assert [f.proof.text for f in feedbacks] == [" by\n  a", " by\n  a", " by\n  b"]
    assert feedbacks[1].first_error is None
    [feedbacks] = ask(show(successes=2, own="always"), group)
    assert feedbacks[2].messages == ("a proof is\n  b", "a proof is\n  a")


# --- Several providers ---------------------------------------------------------------------------


def fixed(*texts, **fields):
    """Writes these on the attempts of each group; None: nothing. Records what was requested."""
    requested = []

    async def provide(groups, context):
        requested.append(context.requested)
        return [
            [
                text
                if text is None
                else Feedback(
                    (text,) if text else (),
                    fields["name"],
                    **{k: v for k, v in fields.items() if k != "name"},
                )
                for text in texts
            ]
            for _ in groups
        ]

    provide.requested = requested
    return provide


GROUP = group_of(("x", "failed"), ("y", "failed"), ("z", "failed"))


def test_the_first_with_messages_and_the_costs_of_all():
    one = fixed("a", "", None, name="one", tokens=5, own_flops=4, requests=1, problems=("t",))
    two = fixed("b", "b", None, name="two", tokens=3, money=0.5)
    three = fixed("c", "c", "c", name="three")
    [feedbacks] = ask(first([one, two, three]), GROUP)
    assert [(f.text, f.provider, f.tokens, f.requests, f.problems) for f in feedbacks] == [
        ("a", "one", 5, 1, ("t",)),
        ("b", "two", 8, 1, ("t",)),
        ("c", "three", 0, 0, ()),
    ]
    assert feedbacks[1].money == 0.5 and [f.own_flops for f in feedbacks] == [4, 4, 0]
    assert two.requested == [[[False, True, True]]] and three.requested == [[[False, False, True]]]


def test_feedback_without_messages_still_costs():
    silent = fixed("", None, None, name="one", tokens=5, failed_requests=1)
    [feedbacks] = ask(first([silent, silent]), GROUP)
    assert (
        feedbacks[0].messages == ()
        and feedbacks[0].tokens == 10
        and feedbacks[0].failed_requests == 2
    )
    assert feedbacks[1:] == [None, None]


def test_of_several_draws_the_one_that_the_others_agree_with_most():
    draws = [
        fixed(text, silent, None, name="d", tokens=1, own_flops=2)
        for text, silent in (
            ("use ring", ""),
            ("use simp after intro", None),
            ("use simp after cases", ""),
        )
    ]
    [feedbacks] = ask(most_agreed(draws), GROUP)
    assert feedbacks[0].text == "use simp after intro"
    assert (feedbacks[0].tokens, feedbacks[0].own_flops) == (3, 6)
    assert feedbacks[1].messages == () and feedbacks[1].tokens == 2 and feedbacks[2] is None


@pytest.mark.parametrize("other", [Feedback(("b",), "two", tokens=9), Feedback((), "two"), None])
def test_shuffled_works_over_any_and_keeps_own_costs(other):
    own = fixed("a", "", None, name="one", tokens=2, requests=1)

    async def both(groups, context):
        return [*(await own(groups[:1], context)), [other]]

    foreign = [(FOREIGN, *GROUP[0][1:])]
    [feedbacks, _] = ask(shuffled(both), GROUP, foreign)
    assert [f and f.tokens for f in feedbacks] == [2, 2, None]
    assert feedbacks[0].messages == (other.messages if other else ())


def test_shuffled_drops_no_feedback_while_another_theorem_has_any():
    """The control learns from as many attempts as the run that it controls for."""
    silent = Feedback((), "one")

    async def some(groups, context):
        return [
            [silent, Feedback(("a",), "one")],
            [None, silent],
            [silent, Feedback(("b",), "one")],
        ]

    groups = [[(dataclasses.replace(FOREIGN, id=name), *GROUP[0][1:])] * 2 for name in "xyz"]
    first, second, third = ask(shuffled(some), *groups)
    assert [f.text for f in (first[1], third[1])] == ["b", "a"]
    assert (first[0], second, third[0]) == (silent, [None, silent], silent)


def test_figures_of_a_step():
    feedbacks = [
        Feedback(
            ("a",),
            "llm: m",
            tokens=7,
            seconds=0.5,
            leak=0.5,
            money=0.1,
            requests=2,
            failed_requests=1,
            problems=("llm: timeout",),
        ),
        Feedback(
            (), "llm: m", requests=1, failed_requests=1, problems=("llm: timeout", "dropped: leak")
        ),
        None,
    ]
    proofs = group_of(("simp -- as the feedback says", "failed"), ("x", "failed"), ("y", "proved"))
    figures = feedback_metrics([[(*item, f) for item, f in zip(proofs, feedbacks)]])
    assert figures == pytest.approx(
        {
            "feedback/given": 1 / 3,
            "feedback/leak": 0.5,
            "feedback/echo": 1 / 3,
            "feedback/requests": 3,
            "feedback/failed_share": 2 / 3,
            "feedback/llm: timeout": 2,
            "feedback/dropped: leak": 1,
            "feedback/by_llm: m": 1.0,
        }
    )
    assert feedback_metrics([[(*proofs[0], None)]]) == {}


# --- What the manifest holds ---------------------------------------------------------------------


def test_on_several_hosts_all_must_get_the_same_feedback(monkeypatch, tmp_path):
    config = FeedbackConfig(provider="policy,reference")
    resources = Resources(None, None, tmp_path, 0, 4)
    monkeypatch.setattr(providers, "policy", lambda *_, **__: None)
    make_provider(config, resources)
    monkeypatch.setattr(hosts, "_here", hosts.Here(1, 2))
    with pytest.raises(ConfigError, match="the policy cannot write feedback beside reference"):
        make_provider(config, resources)
    config = FeedbackConfig(provider="policy,peers,oracle")  # these depend on verdicts alone
    make_provider(config, resources)


def test_the_manifest_of_the_default_is_short():
    fields = {"provider": "oracle", "oracle": {"level": "correction"}}
    assert manifest_fields(FeedbackConfig()) == fields


def test_each_provider_has_a_block_of_its_name():
    blocks = {
        name for name, value in vars(FeedbackConfig()).items() if dataclasses.is_dataclass(value)
    }
    assert set(PROVIDERS) == blocks


EVERY = {"provider": "peers,llm,policy,reference,lean_messages,oracle", "llm.model": "m"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("successes", True),
        ("draws", 2),
        ("leak_limit", 0.5),
        ("llm.model", "other"),
        ("llm.prompt", "{file}"),
        ("llm.options.max_tokens", 7),
        ("llm.show_reference", True),
        ("llm.max_chars", 7),
        ("reference.max_requests", 2),
        ("reference.prompt", "{file}"),
        ("policy.prompt", "{goal}"),
        ("policy.by_teacher", True),
        ("policy.response_length", 7),
        ("policy.temperature", 0.5),
        ("peers.successes", 2),
        ("peers.own", "always"),
        ("peers.order", "nearest"),
        ("lean_messages.level", "verdict"),
        ("oracle.level", "step"),
    ],
)
def test_the_manifest_holds_what_changes_feedback(tmp_path, field, value):
    if value == "{file}":
        value = str(tmp_path / "prompt")
        (tmp_path / "prompt").write_text("Write something.")
    fields = EVERY | {"reference.max_requests": 1}
    before = manifest_fields(config_of(**fields))
    assert manifest_fields(config_of(**fields | {field: value})) != before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "http://localhost"),
        ("key_variable", "OTHER"),
        ("price_in", 1.0),
        ("retries", 7),
        ("timeout", 7.0),
        ("token_budget", 7),
        ("cache", "file"),
    ],
)
def test_the_manifest_holds_nothing_else(field, value):
    changes = {f"llm.{field}": value}
    assert manifest_fields(config_of(**EVERY | changes)) == manifest_fields(config_of(**EVERY))


@pytest.mark.parametrize("block", ["llm", "reference"])
def test_a_prompt_that_is_gone_is_named_with_its_field(block):
    fields = EVERY | {"reference.max_requests": 1, f"{block}.prompt": "gone.txt"}
    with pytest.raises(ConfigError, match=rf"^feedback\.{block}\.prompt: prompt 'gone.txt'"):
        manifest_fields(config_of(**fields))
