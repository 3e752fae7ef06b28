"""An attempt of several turns in the report: its dialogue, and nothing that a turn could forge."""

import pytest
from episodes import FEEDBACK, THEOREM, episode, refused, spoken
from html_checker import checked
from rollouts import small_generator

from fdjax.reporting import report
from fdjax.reporting.budgets import episode_figures
from fdjax.reporting.dialogue import MAX_CHARS, counted, dialogue, turns_of
from fdjax.reporting.workdir import read_stages
from fdjax.rollout.journal import Journal
from fdjax.types import Verdict

EVIL = "</pre><script>h1</script>"


@pytest.fixture(scope="module")
def tokenizer():
    return small_generator().prompts.tokenizer


def workdir_of(folder, tokenizer, *attempts):
    """A run with one stage, in which these were refused at their last line."""
    stage = folder / "fd"
    journal = Journal(stage / "rollouts")
    (stage / "config.json").write_text('{"stage": {}}')
    journal.append(0, "attempts", [[*attempts]])
    journal.append(0, "theorems", [THEOREM])
    journal.append(0, "verdicts", [[refused(10) for _ in attempts]])
    journal.append(0, "feedback", [[FEEDBACK for _ in attempts]])
    if tokenizer:
        tokenizer.save(stage)
    return folder


def test_turns_and_answers_stand_in_their_order(tokenizer, tmp_path):
    shown = ("exact h1", f"\nLean refuses exact h1 {EVIL}\n", f"intro h2 {EVIL}")
    attempt = spoken(tokenizer, *shown, calls=2, malformed=1)
    page = report.write(workdir_of(tmp_path, tokenizer, attempt)).read_text()
    checked(page)
    assert "<script>" not in page and "3 turns" not in page
    assert "sample 0, 2 turns, 2 calls (1 malformed)" in page
    parts = (
        "turn 1</p><pre class='turn'>exact h1</pre>",
        "answer to turn 1</p><pre class='message tool'>Lean refuses exact h1 &lt;/pre&gt;",
        "turn 2</p><pre class='turn'>intro h2 &lt;/pre&gt;&lt;script&gt;h1",
        "judged</p><pre>theorem t : True := by\n  a\n  <mark>b",
    )
    places = [page.index(part) for part in parts]
    assert places == sorted(places)


def test_without_a_tokenizer_the_judged_proof_is_shown(tokenizer, tmp_path):
    attempt = spoken(tokenizer, "exact h1", "no", "intro h2")
    workdir = workdir_of(tmp_path, None, attempt)
    assert report.choose_attempts(read_stages(workdir, []), 3)[0].turns == ()
    page = report.write(workdir).read_text()
    assert "turn 1" not in page and "theorem t : True := by" in page


def test_an_attempt_of_one_turn_is_shown_as_ever(tokenizer):
    assert turns_of(tokenizer, episode(4)) == () and counted(episode(4)) == ""
    plain = report.ShownAttempt("fd", 0, THEOREM, episode(4), refused(8), None)
    assert "turn" not in report.card(plain) and "judged" not in report.card(plain)


def test_figures_by_budget_have_a_table():
    groups = [
        [(THEOREM, episode(*turns), verdict) for turns, verdict in pairs]
        for pairs in (
            (((3,), Verdict("proved")), ((3, 3), Verdict("proved")), ((3, 3), refused())),
            (((3, 3), refused()), ((3, 3), refused()), ((3, 3), refused())),
        )
    ]
    figures = {"episodes": episode_figures(groups)}
    html = report.budget_table({"stages": {"fd": {"heldout": figures, "train": {}}}})
    checked(f"<!doctype html><html lang=en><title>t</title><body>{html}</body></html>")
    assert html.count("<tr") == 2 and "within 2 turns" in html and "held-out" in html
    cells = html.split("<td>")
    assert cells[1].startswith("0.167 <small>[0.000, 0.333]</small></td>")
    assert cells[2].startswith("0.333 <small>[0.000, 0.667]</small><br><small>Δ +0.000 [")
    equal = figures["episodes"]["equal_tokens"]
    assert cells[3].startswith(f"{equal['attempts_rate']['mean']:.3f} <small>[")
    assert f"Δ {equal['difference']['mean']:+.3f} [" in cells[3]
    assert report.budget_table({"stages": {"fd": {"heldout": {}}}}) == ""


def test_long_turns_are_cut():
    html = dialogue([("model", "x\n" * 10**6), ("tool", "no"), ("model", "y")])
    assert len(html) < MAX_CHARS + 400 and "x\n...\nx" in html
