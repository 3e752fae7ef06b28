"""Feedback providers on hand-made attempts and on synthetic theorems."""

import asyncio

import pytest

from fdjax.config import ConfigError, default
from fdjax.feedback import providers
from fdjax.feedback.compose import first, merged, most_agreed, together
from fdjax.feedback.diagnostics import diagnostics, error_place
from fdjax.feedback.metrics import feedback_metrics
from fdjax.feedback.peers import peers
from fdjax.feedback.providers import Means, make_provider, manifest_fields
from fdjax.feedback.shuffled import shuffled
from fdjax.lean.audit import audit
from fdjax.runtime import hosts
from fdjax.types import Attempt, Candidate, Feedback, Message, Moment, Theorem, Verdict

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
    return asyncio.run(provider(list(groups), Moment("fd", 0)))


def one(help, proof, verdict=FAILED, theorem=AND):
    [[said]] = ask(diagnostics(help), [(theorem, attempt(proof), verdict)])
    return said


def test_error_quotes_the_line_of_the_first_error():
    proof = " by\n  constructor\n  exact h2\n  exact h1"
    late = Message("error", "late", start=proof.index("exact h1"))
    first = Message("error", "unknown identifier 'h2'", start=proof.index("h2"))
    said = one("error", proof, Verdict("failed", (late, first)))
    assert said.messages == ("Lean refuses exact h2", "unknown identifier 'h2'")
    assert said.first_error == proof.index("h2")


def test_an_empty_proof_is_quoted_as_nothing():
    empty = audit("")
    said = one("error", "", Verdict("rejected", (empty,)))
    assert said.messages == ("Lean refuses nothing", empty.text) and said.first_error == 0


def test_an_open_goal_departs_where_the_tactics_end():
    proof = " by\n  constructor\n  exact h1.2"
    goal = Message("error", "unsolved goals\n⊢ p", "Tactic.unsolvedGoals", 1, len(proof))
    assert error_place(Verdict("failed", (goal,))) == len(proof)
    assert one("verdict", proof, Verdict("failed", (goal,))).first_error == len(proof)


def test_what_could_not_be_verified_gets_no_verdict():
    assert one("verdict", " by", Verdict("timeout")) is None
    assert one("verdict", " by", Verdict("proved")).text == "Lean accepts it"
    assert one("verdict", " by").text == "Lean refuses it"


def test_step_says_what_to_write_after_the_last_good_line():
    bad = " by\n  constructor\n  exact h1.1\n  exact h1.2"
    said = one("step", bad)
    assert said.text.startswith("after constructor use ")
    assert said.first_error >= bad.index("exact h1.1")
    assert said.proof.text.startswith(" by\n  constructor\n")


def test_step_on_a_proof_repeats_one_of_its_lines():
    good = " by\n  constructor\n  exact h1.2\n  exact h1.1"
    said = one("step", good, Verdict("proved"))
    lines = ["constructor", "exact h1.2", "exact h1.1"]
    told = ["begin with constructor", *(f"after {a} use {b}" for a, b in zip(lines, lines[1:]))]
    assert said.text in told and said.first_error is None and said.proof.text == good


def test_correction_keeps_the_good_part():
    bad = " by\n  constructor\n  exact h1.1\n  exact h1.2"
    said = one("correction", bad)
    assert said.proof.text.startswith(" by\n  constructor\n  ")
    assert said.text == "a proof is" + said.proof.text.removeprefix(" by")


@pytest.mark.parametrize("extra, departs", [("", None), ("\n  done", 0), ("x", 0)])
def test_proof_departs_where_texts_differ(extra, first_error_token):
    known = one("proof", " by\n  constructor").proof.text
    said = one("proof", known + extra)
    assert said.first_error == (None if first_error_token is None else len(known))
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


def test_shuffled_takes_text_from_another_theorem_and_keeps_the_departure():
    async def echo(groups, moment):
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


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("help", "oracle", "help is 'oracle'; known are verdict"),
        ("provider", "oracle", "provider is 'oracle'; known are diagnostics, llm"),
        ("provider", "peers,,llm", "provider is 'peers,,llm'"),
        ("provider", "llm,llm", "name each provider once"),
        ("provider", "llm", "llm.model is empty"),
        ("compose", "vote", "compose is 'vote'; known are first, merge"),
        ("pick", "best", "pick is 'best'; known are agreed, merge"),
        ("draws", 0, "draws is 0, must be at least 1"),
        ("leak_limit", 1.5, r"leak_limit is 1.5, must be in \[0, 1\]"),
        ("reference.asks", -1, "reference.asks is -1, must not be negative"),
        ("reference.asks", 1, "llm.model is empty"),
        ("peers.successes", 0, "peers shows 0 successes"),
        ("peers.order", "best", "peers.order is 'best'; known are first, nearest"),
        ("peers.own", "yes", "peers.own is 'yes'; known are never, alone, always"),
        ("llm.cache", "/dev/null/answers", "^feedback.llm.cache: /dev/null/answers cannot be writ"),
        ("llm.cache", "/", "^feedback.llm.cache: / cannot be written to"),
        ("llm.prompt", "nowhere.txt", "^feedback.llm.prompt: .*neither one of feedback.v1"),
        ("policy.prompt", "{gaol}", "policy.prompt='{gaol}' is no template"),
        ("policy.response_length", 0, "policy.response_length is 0, must be positive"),
        ("policy.temperature", -1.0, "policy.temperature is -1.0, must not be negative"),
    ],
)
def test_what_cannot_be_is_refused_by_name(monkeypatch, tmp_path, field, value, told):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    config = default().feedback
    if field.split(".")[0] in ("policy", "reference"):
        config.provider = field.split(".")[0]
    if field in ("llm.prompt", "llm.cache"):
        config.provider, config.llm.model = "llm", "m"
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ConfigError, match=told):
        make_provider(config, Means(None, None, tmp_path, 0, 1))


# --- Peers ---------------------------------------------------------------------------------------


def show(**changes):
    return peers(**dict(successes=1, failures=0, order="first", own="never") | changes)


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


def test_peers_show_the_first_success_and_where_the_attempt_departs():
    group = group_of(("simp", "failed"), ("exact a", "proved"), ("exact b", "proved"))
    [[failed, one, two]] = ask(show(), group)
    assert failed.messages == ("a proof is\n  exact a",) and failed.proof.text == " by\n  exact a"
    assert failed.first_error == len(" by\n  ")
    assert one.messages == ("a proof is\n  exact b",)  # a success sees another, not itself
    assert one.first_error == len(" by\n  exact ")
    assert two.proof.text == " by\n  exact a"


def test_peers_show_more_successes_and_failures_each_text_once():
    group = group_of(
        ("x", "failed"),
        ("a", "proved"),
        ("x", "failed"),
        ("a", "proved"),
        ("b", "proved"),
        ("y", "failed"),
        ("z", "rejected"),
    )
    [said] = ask(show(successes=2, failures=1), group)
    assert said[0].messages == (
        "a proof is\n  a",
        "a proof is\n  b",
        "Lean refuses\n  y\nbecause no such lemma",
    )
    assert said[5].messages[2] == "Lean refuses\n  x\nbecause no such lemma"


def test_peers_that_have_nothing_to_show():
    lone = group_of(("x", "failed"), ("a", "proved"), ("a", "proved"), ("t", "timeout"))
    [said] = ask(show(failures=2), lone)
    assert said[0].proof.text == " by\n  a" and said[1:] == [None, None, None]
    [said] = ask(show(own="alone"), lone)
    assert said[1].proof.text == " by\n  a" and said[1].first_error is None and said[3] is None
    [said] = ask(show(failures=2, own="alone"), group_of(("x", "failed")))
    assert said == [None]


def test_the_nearest_peers_begin_as_the_attempt_does():
    group = group_of(("ab x", "failed"), ("b", "proved"), ("abc", "proved"), ("ab y", "proved"))
    [said] = ask(show(successes=2, order="nearest"), group)
    assert said[0].messages == ("a proof is\n  ab y", "a proof is\n  abc")
    assert said[0].proof.text == " by\n  ab y" and said[0].first_error == len(" by\n  ab ")
    assert said[2].proof.text == " by\n  ab y"  # a success, too, is shown another one


def test_a_success_may_always_be_shown_itself():
    group = group_of(("x", "failed"), ("a", "proved"), ("b", "proved"))
    [said] = ask(show(own="always"), group)
    assert [f.proof.text for f in said] == [" by\n  a", " by\n  a", " by\n  b"]
    assert said[1].first_error is None
    [said] = ask(show(successes=2, own="always"), group)
    assert said[2].messages == ("a proof is\n  b", "a proof is\n  a")


# --- Several providers ---------------------------------------------------------------------------


def fixed(*texts, **fields):
    """Says these of the attempts of each group; None: nothing. Remembers what was wanted."""
    wanted = []

    async def provide(groups, moment):
        wanted.append(moment.wanted)
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

    provide.wanted = wanted
    return provide


GROUP = group_of(("x", "failed"), ("y", "failed"), ("z", "failed"))


def test_the_first_with_something_to_say_and_the_costs_of_all():
    one = fixed("a", "", None, name="one", tokens=5, own_flops=4, asked=1, troubles=("t",))
    two = fixed("b", "b", None, name="two", tokens=3, money=0.5)
    three = fixed("c", "c", "c", name="three")
    [said] = ask(first([one, two, three]), GROUP)
    assert [(f.text, f.provider, f.tokens, f.asked, f.troubles) for f in said] == [
        ("a", "one", 5, 1, ("t",)),
        ("b", "two", 8, 1, ("t",)),
        ("c", "three", 0, 0, ()),
    ]
    assert said[1].money == 0.5 and [f.own_flops for f in said] == [4, 4, 0]
    assert two.wanted == [[[False, True, True]]] and three.wanted == [[[False, False, True]]]


def test_what_nobody_can_say_still_costs():
    silent = fixed("", None, None, name="one", tokens=5, unanswered=1)
    [said] = ask(first([silent, silent]), GROUP)
    assert said[0].messages == () and said[0].tokens == 10 and said[0].unanswered == 2
    assert said[1:] == [None, None]


def test_merged_keeps_each_message_once_and_one_proof():
    one = fixed("a", "", None, name="one", tokens=1, own_flops=1)
    two = fixed(
        "b",
        "b",
        None,
        name="two",
        tokens=1,
        own_flops=1,
        proof=Candidate("p"),
        first_error=3,
        leak=0.5,
    )
    [said] = ask(together([one, two, fixed("a", "a", None, name="two")], merged), GROUP)
    assert said[0].messages == ("a", "b") and said[0].provider == "one + two"
    assert said[0].proof.text == "p" and said[0].first_error == 3 and said[0].leak == 0.5
    assert said[1].messages == ("b", "a")
    assert [(f.tokens, f.own_flops) for f in said[:2]] == [(2, 2)] * 2
    assert said[2] is None


def test_of_several_draws_the_one_that_the_others_share_most():
    draws = [
        fixed(text, None, None, name="d", tokens=1)
        for text in ("use ring", "use simp after intro", "use simp after cases")
    ]
    [[said, *_]] = ask(together(draws, most_agreed), GROUP)
    assert said.text == "use simp after intro" and said.tokens == 3


@pytest.mark.parametrize("other", [Feedback(("b",), "two", tokens=9), Feedback((), "two"), None])
def test_shuffled_works_over_any_and_keeps_own_costs(other):
    own = fixed("a", "", None, name="one", tokens=2, asked=1)

    async def both(groups, moment):
        return [*(await own(groups[:1], moment)), [other]]

    foreign = [(FOREIGN, *GROUP[0][1:])]
    [said, _] = ask(shuffled(both), GROUP, foreign)
    assert [f and f.tokens for f in said] == [2, 2, None]
    assert said[0].messages == (other.messages if other else ())


def test_figures_of_a_step():
    said = [
        Feedback(
            ("a",),
            "llm: m",
            tokens=7,
            seconds=0.5,
            leak=0.5,
            money=0.1,
            asked=2,
            unanswered=1,
            troubles=("llm: timeout",),
        ),
        Feedback((), "llm: m", asked=1, unanswered=1, troubles=("llm: timeout", "leak dropped")),
        None,
    ]
    proofs = group_of(("simp -- as the feedback says", "failed"), ("x", "failed"), ("y", "proved"))
    figures = feedback_metrics([[(*item, f) for item, f in zip(proofs, said)]])
    assert figures == pytest.approx(
        {
            "feedback/given": 1 / 3,
            "feedback/leak": 0.5,
            "feedback/echo": 1 / 3,
            "feedback/asked": 3,
            "feedback/unanswered": 2 / 3,
            "feedback/llm: timeout": 2,
            "feedback/leak dropped": 1,
            "feedback/by llm: m": 1.0,
        }
    )
    assert feedback_metrics([[(*proofs[0], None)]]) == {}


# --- What a record holds -------------------------------------------------------------------------


def test_on_several_hosts_all_must_hear_the_same(monkeypatch, tmp_path):
    config = default().feedback
    means = Means(None, None, tmp_path, 0, 4)
    monkeypatch.setattr(providers, "policy", lambda *_, **__: None)
    config.provider = "policy,reference"
    make_provider(config, means)
    monkeypatch.setattr(hosts, "_here", hosts.Here(1, 2))
    with pytest.raises(ConfigError, match="the policy cannot write feedback beside reference"):
        make_provider(config, means)
    config.provider = "policy,peers,diagnostics"  # whose answers hang on verdicts alone
    make_provider(config, means)


def test_the_record_of_the_default_is_short():
    assert manifest_fields(default().feedback) == {"provider": "diagnostics", "help": "correction"}


@pytest.mark.parametrize(
    "field",
    [
        "successes",
        "draws",
        "pick",
        "leak_limit",
        "compose",
        "llm.model",
        "llm.prompt",
        "llm.options.max_tokens",
        "llm.show_reference",
        "llm.show_peers",
        "llm.longest",
        "reference.asks",
        "reference.prompt",
        "policy.prompt",
        "policy.average",
        "policy.response_length",
        "policy.temperature",
        "peers.successes",
        "peers.failures",
        "peers.own",
        "peers.order",
        "help",
    ],
)
def test_the_record_holds_what_changes_feedback(tmp_path, field):
    config = default().feedback
    config.update(provider="peers,llm,policy,reference,diagnostics")
    config.reference.asks = 1
    before = manifest_fields(config)
    value = config
    for name in field.split("."):
        value = value[name]
    (tmp_path / "prompt").write_text("Say something.")
    changed = {bool: lambda: not value, str: lambda: str(tmp_path / "prompt")}
    config.update_from_flattened_dict({field: changed.get(type(value), lambda: value + 1)()})
    assert manifest_fields(config) != before


@pytest.mark.parametrize(
    "field", ["base_url", "key_variable", "price_in", "retries", "timeout", "money_budget", "cache"]
)
def test_the_record_holds_nothing_else(field):
    config = default().feedback
    config.provider = "llm"
    before = manifest_fields(config)
    value = config.llm[field]
    config.llm[field] = f"{value}x" if isinstance(value, str) else value + 1
    assert manifest_fields(config) == before
