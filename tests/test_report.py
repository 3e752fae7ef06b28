"""report.html from a made-up workdir: complete, self-contained, safe."""

import json
import math
import random
import re
from xml.etree import ElementTree

import pytest
from html_checker import checked

from fdjax.reporting import figures, report
from fdjax.reporting.workdir import read_stages
from fdjax.rollout.journal import Journal
from fdjax.runtime.files import append_line
from fdjax.types import Attempt, Candidate, Feedback, Message, Segment, Theorem, Verdict

EVIL = "<script>alert('x')</script>"
PROOF = " by\n  intro h1\n  exact h1.right\n"


def curve(base):
    figures = {}
    for k in (1, 4, 16, 64):
        mean = 1 - (1 - base) ** (1 + math.log2(k) / 2)
        figures[str(k)] = {"mean": mean, "low": mean - 0.04, "high": mean + 0.04}
    return figures


def make_workdir(folder, stages=("sft", "fd", "grpo"), steps=48):
    rng = random.Random(0)
    summary = {"stages": {}, "low_temperature": {}}
    for i, name in enumerate(stages):
        splits = {
            split: {
                "pass_at_k": curve(base),
                "entropy": 0.2 - 0.05 * i,
                "distinct_proofs": 3.1 + i,
                "unverified": 0,
            }
            for split, base in (("train", 0.2 + 0.15 * i), ("heldout", 0.22 + 0.05 * i))
        }
        if i:
            for figures in splits.values():
                figures["minus_start"] = {
                    "1": {"mean": 0.05, "low": 0.02, "high": 0.08},
                    "4": {"mean": 0.01, "low": -0.02, "high": 0.04},
                }
            splits["spent"] = {"rollouts": 6144, "flops": 3.2e14, "flops_teacher": 1e14}
            splits["teacher_solve_rate"] = {"feedback": 0.6, "none": 0.18, "shuffled": 0.15}
        summary["stages"][name] = splits
        low_temperature = {"pass_at_k": curve(0.3), "entropy": 0.1}
        summary["low_temperature"][name] = {"temperature": 0.6, "train": low_temperature}
        write_stage(folder / name, rng, steps, with_rollouts=i > 0)
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def write_stage(folder, rng, steps, with_rollouts):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps(
            {
                "seed": 0,
                "fingerprint": "0123abcd",
                "stage": {"steps": steps, "note": EVIL},
                "model": {"num_layers": 4, "width": 128, "vocab_size": 442},
            }
        )
    )
    for step in range(steps):
        line = {
            "step": step,
            "loss": 2 * math.exp(-step / 20) + rng.random() / 5,
            "time/step": 2.2 + rng.random(),
            "time/update": 1.1,
        }
        if with_rollouts:
            line |= {
                "solve_rate": 0.2 + 0.3 * step / steps + rng.random() / 10,
                "policy_entropy": 0.2 - 0.05 * step / steps + rng.random() / 50,
                "time/sample": 0.5,
                "time/lean": 0.4,
                "time/feedback": 0.02,
                "time/wait": 0.45,
            }
        append_line(folder / "metrics.jsonl", line)
    for step in range(0, steps, 6) if with_rollouts else ():
        journal, theorem = (
            Journal(folder / "rollouts"),
            Theorem(f"pool/{step}", "t", "(A B : Prop) (h : A ∧ B) : A → B"),
        )
        attempts = [
            Attempt(
                theorem.id, g, (Segment((1, 2)),), (-0.1, -0.2), g != 3, Candidate(PROOF), (0, 3)
            )
            for g in range(8)
        ]
        start = PROOF.index("h1.right")
        error = Message(
            "error",
            "Invalid field `right`: the type A has no fields\n"
            f"A B : Prop\nh : A ∧ B\nh1 : A\n⊢ B {EVIL}",
            "",
            start,
            start + 8,
        )
        verdicts = [
            Verdict("proved")
            if g % 3 == 0
            else Verdict("timeout")
            if g == 4
            else Verdict("failed", (error, Message("warning", "unused variable")))
            for g in range(8)
        ]
        feedback = [
            None
            if v.proved
            else Feedback(("after\nintro h1\nuse\nexact h.right",), "hint", first_error=start - 6)
            for v in verdicts
        ]
        journal.append(step, "attempts", [attempts])
        journal.append(step, "theorems", [theorem])
        journal.append(step, "verdicts", [verdicts])
        journal.append(step, "feedback", [feedback])
    if with_rollouts:  # killed before Lean answered
        Journal(folder / "rollouts").append(steps, "attempts", [attempts])


def test_a_whole_run(tmp_path):
    page = report.write(make_workdir(tmp_path / "run")).read_text()
    checker = checked(page)
    assert checker.seen.count("svg") == 3
    assert checker.seen.count("article") == 30
    assert EVIL not in page and "&lt;script&gt;" in page
    # Figures of the summary, intervals, the paired difference, the teacher's gap.
    for text in (
        "0.200",
        "[0.160, 0.240]",
        "Δ +0.050 [+0.020, +0.080]",
        "sft at T = 0.6",
        "shuffled",
        "6,144",
        "3.2e+14",
    ):
        assert text in page
    # The place of the error inside the proof, the message, the feedback.
    assert re.search(r"<i>▾</i>exact <mark>h1\.right</mark>\n", page)
    assert "<p class=meta>Lean at <code>h1.right</code></p>" in page
    assert "Invalid field `right`" in page and "after\nintro h1\nuse\nexact h.right" in page
    assert "(A B : Prop) (h : A ∧ B) : A → B := by\n" in page


def test_the_same_files_give_the_same_page(tmp_path):
    workdir = make_workdir(tmp_path / "run")
    assert report.write(workdir).read_text() == report.write(workdir).read_text()


def test_a_run_under_way(tmp_path):
    workdir = make_workdir(tmp_path / "run")
    (workdir / "summary.json").unlink()
    checker = checked(report.write(workdir).read_text())
    assert checker.seen.count("svg") == 2 and checker.seen.count("article") == 30
    append_line(workdir / "fd" / "metrics.jsonl", {"step": 99, "loss": None, "solve_rate": 0.5})
    checked(report.write(workdir).read_text())  # a step that gave no finite loss
    write_stage(tmp_path / "young" / "sft", random.Random(0), steps=0, with_rollouts=False)
    checked(report.write(tmp_path / "young").read_text())
    with pytest.raises(FileNotFoundError, match="no summary"):
        report.write(tmp_path)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("x", "x is no folder"),
        ("", "holds no summary"),
        ("torn", "torn/summary.json is no JSON: .* Remove it: the run's command writes it again"),
    ],
)
def test_the_command_without_a_run(tmp_path, capsys, folder, message):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "summary.json").write_text('{"stages": ')
    assert report.main([str(tmp_path / folder)]) == 1
    assert re.match(f"fdjax report: .*{message}", capsys.readouterr().err)


def test_the_figure_for_a_readme(tmp_path, capsys):
    workdir = make_workdir(tmp_path / "run")
    assert report.main([str(workdir)]) == 0
    assert capsys.readouterr().out == f"{workdir}/report.html\n"
    figure = (workdir / "pass_at_k.svg").read_text()
    assert checked(figure).seen.count("svg") == 1 and "var(" not in figure
    root = ElementTree.fromstring(figure)
    assert root.tag.endswith("svg") and root[0].get("fill") == "#fff"
    assert {"train", "held-out", "sft at T = 0.6"} <= set(root.itertext())


def test_training_steps_count_from_one():
    lines = [{"step": step, "loss": 1.0} for step in range(3)]
    assert figures._curves({"sft": lines}, "loss") == {"sft": [(1, 1.0), (2, 1.0), (3, 1.0)]}
    labels = re.findall(r">([^<]+)</text>", figures.training_figure({"sft": lines}))
    assert [text for text in labels if text in ("0", "1", "1.5", "2", "2.5", "3")][:3] == [
        "1",
        "2",
        "3",
    ]


def test_attempts_come_from_all_stages_and_steps(tmp_path):
    stages = read_stages(make_workdir(tmp_path / "run"), ["sft", "fd", "grpo"])
    shown = report.choose_attempts(stages, 30)
    assert [s.stage for s in shown] == ["grpo"] * 15 + ["fd"] * 15  # the last stage first
    assert {s.step for s in shown} == set(range(0, 48, 6))
    assert 8 <= sum(s.verdict.proved for s in shown) <= 12
    assert len({(s.stage, s.step, s.attempt.sample) for s in shown}) == 30


def test_an_attempt_with_helper_lemmas_states_its_theorem_itself():
    theorem, stated = Theorem("t", "t", ": True"), "theorem a : True := ⟨⟩\n\ntheorem t : True :="
    for proof, main in ((" a", 0), (f"\n{stated} a", 1 + len(stated))):
        attempt = Attempt("t", 0, (), (), True, Candidate(proof, main), ())
        card = report.card(report.ShownAttempt("fd", 0, theorem, attempt, Verdict("proved"), None))
        assert card.count("theorem t : True := a") == 1


@pytest.mark.parametrize(
    "start, end, expected",
    [
        (None, None, ""),
        (4, 6, " at <code>a&lt;</code>"),
        (4, 11, " at <code>a&lt;b …</code>"),
        (11, 11, " at the end"),
        (5, 5, ""),
    ],
)
def test_places(start, end, expected):
    assert report.place(Message("error", "", start=start, end=end), " by a<b\n c") == expected


@pytest.mark.parametrize(
    "start, end, first_error, expected",
    [
        (None, None, None, "a&lt;b"),
        (0, 1, 0, "<i>▾</i><mark>a</mark>&lt;b"),
        (1, 3, None, "a<mark>&lt;b</mark>"),
        (1, 9, None, "a<mark>&lt;b</mark>"),
        (3, 3, 3, "a&lt;b<i>▾</i><mark class=point></mark>"),
        (2, None, None, "a&lt;<mark class=point></mark>b"),
        (9, 12, None, "a&lt;b"),
    ],
)
def test_marks(start, end, first_error, expected):
    error = Message("error", "", start=start, end=end)
    assert report.marked("a<b", error, first_error) == expected
    assert report.marked("a<b", None, None) == "a&lt;b"
