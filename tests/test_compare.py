"""Comparisons of made-up workdirs: which figures are paired, and at which budget."""

import io
import json
import re

import pytest
import rich.console
from html_checker import checked

from fdjax.config import FeedbackConfig
from fdjax.reporting import compare
from fdjax.reporting.results import direction
from fdjax.reporting.workdir import read_runs
from fdjax.runtime.files import append_line

THEOREMS = [f"t{i}" for i in range(40)]
FEEDBACK = {"provider": "oracle", "oracle": {"level": "correction"}, "shuffle": False}


def record(objective, fingerprint, before, **feedback):
    return {
        "stage": {"objective": objective, "theorems": "train"},
        "feedback": feedback,
        "fingerprint": fingerprint,
        "before": before,
    }


def evaluation(policy, solved, split="train", temperature=1.0, samples=16):
    """A line of evals.jsonl; `solved` of `samples` attempts at each theorem but the last."""
    key = {
        "split": split,
        "samples": samples,
        "temperature": temperature,
        "policy": policy,
        "theorems": "digest",
        "prompt": "p",
        "seed": 0,
    }
    mean = {"mean": solved / samples, "low": 0.1, "high": 0.9}
    figures = {
        "pass_at_k": {"1": mean, "4": mean},
        "entropy": solved / 10,
        "samples": samples,
        "solved": dict.fromkeys(THEOREMS, solved) | {"t39": 0},
    }
    return {"key": key, "figures": figures}


def make_run(folder, *stages, start=5, evals=()):
    """`stages`: (name, record, lines of metrics). All begin with the policy "warm"."""
    for name, config, lines in stages:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(config))
        for step, line in enumerate(lines):
            append_line(folder / name / "metrics.jsonl", {"step": step} | line)
    (folder / "sft").mkdir(exist_ok=True, parents=True)
    for split, temperature in (("train", 1.0), ("train", 0.6), ("test", 1.0)):
        line = evaluation("warm", start, split, temperature)
        append_line(folder / "sft" / "evals.jsonl", line)
    append_line(folder / "sft" / "evals.jsonl", {"key": {"teacher": "sft"}, "figures": {}})
    for line in evals:  # Lean was upgraded before
        line["key"]["lean"] = {"backend": "embedded", "version": "2"}
        append_line(folder / stages[-1][0] / "evals.jsonl", line)
    return folder


def lines(count, rate, rollouts=128, flops=1e12, **more):
    return [
        {
            "solve_rate": rate + step / 100,
            "policy_entropy": 0.4 - step / 100,
            "cost/rollouts": rollouts,
            "cost/flops": flops,
            "cost/flops_sampling": flops / 2,
            "cost/tokens_generated": 1000,
        }
        | more
        for step in range(count)
    ]


@pytest.fixture
def folders(tmp_path):
    """fd then grpo with a warm start of its own; grpo, shuffled fd and one in rounds from it."""
    make_run(
        tmp_path / "fd_grpo",
        ("sft", record("supervised", "warm", "random"), [{"loss": 1.0, "cost/flops": 9e15}]),
        ("grpo", record("policy_gradient", "end", "fd"), lines(10, 0.5)),
        ("fd", record("distillation", "fd", "warm", **FEEDBACK), lines(10, 0.3, flops=4e12)),
        evals=[
            evaluation("end", 8),
            evaluation("end", 9, "train", 0.6),
            evaluation("end", 6, "test"),
            evaluation("old", 16),
        ],
    )
    make_run(
        tmp_path / "grpo",
        ("grpo", record("policy_gradient", "g", "warm"), lines(30, 0.2)),
        evals=[evaluation("g", 7), evaluation("g", 5, "test")],
    )
    shuffled = record("distillation", "s", "warm", **FEEDBACK | {"shuffle": True})
    make_run(tmp_path / "sub" / "grpo", ("fd", shuffled, lines(4, 0.1)))
    expert = lines(9, 0.3)
    for line in expert[1:3] + expert[4:6] + expert[7:]:  # a round has three steps
        for name in ("solve_rate", "policy_entropy", "cost/rollouts"):
            del line[name]
    make_run(
        tmp_path / "expert",
        ("expert_iteration", record("expert_iteration", "e", "warm"), expert),
        evals=[evaluation("e", 6)],
    )
    return [tmp_path / name for name in ("fd_grpo", "grpo", "sub/grpo", "expert")]


def rows(runs, title):
    [table] = [t for t in compare.tables(runs) if t.title == title]
    return {row[0]: dict(zip(table.head[1:], row[1:])) for row in table.rows}


def results(runs, split, temperature="1"):
    """Of that split: the rows of the table of results, without the column of theorems."""
    [table] = [t for t in compare.tables(runs) if t.title == f"Results, temperature {temperature}"]
    assert table.head[1] == "theorems"
    return {
        row[0]: dict(zip(table.head[2:], row[2:])) for row in table.rows if row[1].endswith(split)
    }


def test_stages_follow_the_policies_that_they_start_from(folders):
    runs = read_runs(folders)
    assert [r.name for r in runs] == [
        f"{folders[0].parent.name}/fd_grpo",
        f"{folders[0].parent.name}/grpo",
        "sub/grpo",
        f"{folders[0].parent.name}/expert",
    ]
    assert [s.name for s in runs[0].stages] == ["fd", "grpo"]  # not in the order of their names
    assert {run.start for run in runs} == {"warm"} and runs[0].end == "end"
    names = [run.name for run in read_runs([folders[0], folders[3]])]
    assert names == ["fd_grpo", "expert"]


def test_each_branch_of_a_workdir_is_a_run(tmp_path, folders):
    """Two stages from its own sft, and one that goes on with another workdir's."""
    shuffled = record("distillation", "s", "warm", **FEEDBACK | {"shuffle": True})
    make_run(
        tmp_path / "both",
        ("sft", record("supervised", "warm", "random"), []),
        ("fd", record("distillation", "fd", "warm", **FEEDBACK), lines(2, 0.3)),
        ("grpo", record("policy_gradient", "g", "fd"), lines(3, 0.3)),
        ("shuffled", shuffled, lines(4, 0.1)),
        ("later", record("policy_gradient", "l", "elsewhere"), lines(5, 0.1)),
        evals=[evaluation("g", 8), evaluation("s", 3)],
    )
    (tmp_path / "both" / "exported").mkdir()
    (tmp_path / "both" / "exported" / "config.json").write_text('{"model_type": "qwen3"}')
    runs = read_runs([tmp_path / "both", folders[1]])
    chains = {run.name: [s.name for s in run.stages] for run in runs}
    assert chains == {
        "both/grpo": ["fd", "grpo"],
        "both/later": ["later"],
        "both/shuffled": ["shuffled"],
        "grpo": ["grpo"],
    }
    assert [run.start for run in runs] == ["warm", "elsewhere", "warm", "warm"]
    train = results(runs, "train")
    assert list(train) == ["start", "both/grpo", "both/shuffled", "grpo"]
    assert train["both/shuffled"]["pass@1"].startswith("0.188 [0.100, 0.900] **-0.122")


def test_what_each_run_learned_from(folders):
    runs = read_runs(folders)
    sources = [row["learned from"] for row in rows(runs, "What each run learned from").values()]
    assert sources == [
        "feedback: the attempt corrected to a whole proof, found by a search; then verdicts only",
        "verdicts only",
        "feedback on other theorems (shuffled): the attempt corrected to a whole proof, found by "
        "a search",
        "verdicts, through its own verified proofs",
    ]
    feedback = dict(provider="peers, llm", llm={"model": "m", "show_reference": True})
    assert compare.learning_source(record("distillation", "", "", **feedback)) == (
        "feedback: verified proofs of its group, or else the text of m, which reads a reference "
        "proof"
    )
    corrections = record("expert_iteration", "", "", **FEEDBACK)
    corrections["stage"]["corrections"] = True
    assert compare.learning_source(corrections) == (
        "proofs, learned as they are, from feedback: the attempt corrected to a whole "
        "proof, found by a search"
    )
    feedback = dict(provider="lean_messages", lean_messages={"level": "error"})
    assert (
        compare.learning_source(record("combined", "", "", **feedback))
        == "verdicts, and feedback: Lean's first error"
    )
    for provider in ("oracle", "lean_messages"):
        own = getattr(FeedbackConfig(), provider)
        for level in type(own).__dataclass_fields__["level"].metadata["limits"]["choices"]:
            feedback = {"provider": provider, provider: {"level": level}}
            assert compare.learning_source(record("distillation", "", "", **feedback))
    [table] = [t for t in compare.tables(runs) if t.title == "What each run learned from"]
    assert table.note == "All runs start from the same policy."


def test_budgets_are_those_since_the_start(folders):
    spent = list(rows(read_runs(folders), "What each run cost").values())
    assert [r["rollouts"] for r in spent] == ["2,560", "3,840", "512", "384"]
    assert [r["FLOPs"] for r in spent] == ["5e+13", "3e+13", "4e+12", "9e+12"]  # none of sft's
    assert [r["FLOPs: sampling"] for r in spent] == ["2.5e+13", "1.5e+13", "2e+12", "4.5e+12"]
    assert "feedback tokens" not in spent[0]


def test_ends_are_paired_with_the_start_by_theorem(folders):
    runs = read_runs(folders)
    train = results(runs, "train")
    assert list(train) == ["start", runs[0].name, runs[1].name, runs[3].name]
    assert (
        train["start"]["pass@1"] == "0.312 [0.100, 0.900]" and train["start"]["entropy"] == "0.500"
    )
    # 39 of 40 theorems with 3 of 16 more each.
    assert train[runs[0].name]["pass@1"].startswith("0.500 [0.100, 0.900] **+0.183 [+0.1")
    assert "+0.122" in train[runs[1].name]["pass@1"]
    test = results(runs, "test")
    assert test[runs[1].name]["pass@1"] == "0.312 [0.100, 0.900] +0.000 [+0.000, +0.000]"
    assert list(results(runs, "train", "0.6")) == ["start", runs[0].name]
    [table] = [t for t in compare.tables(runs) if t.title == "Results, temperature 1"]
    shown = [(row[0], row[1]) for row in table.rows]
    both = [(name, f"40 {s}") for name in ("start", runs[0].name, runs[1].name) for s in SIDES]
    assert shown == [*both, (runs[3].name, "40 train")]


SIDES = ("test", "train")  # first the theorems that no run trained on


def test_the_first_run_is_paired_with_the_others(folders):
    runs = read_runs(folders)
    title = f"{runs[0].name} minus the others, temperature 1"
    [table] = [t for t in compare.tables(runs) if t.title == title]
    assert [row[:2] for row in table.rows] == [
        [runs[1].name, "40 test"],
        [runs[1].name, "40 train"],
        [runs[3].name, "40 train"],
    ]
    # 39 of 40 theorems with 6 and 5, 8 and 7, 8 and 6 of 16.
    assert [row[2].split()[0] for row in table.rows] == ["**+0.061", "**+0.061", "**+0.122"]


def test_in_words_each_k_is_higher_lower_or_undecided(folders):
    first, *_, rest, _ = compare.in_words(runs := read_runs(folders))
    assert first == "On 40 test theorems, which no run trained on, temperature 1:"
    lines = dict(line.split(": ", 1) for line in compare.in_words(runs)[1:])
    one, other = runs[0].name, runs[1].name
    assert lines[f"{one} against its start"] == (
        # Of 16 attempts at a theorem some succeed before and after.
        "higher at k = 1, 4; undecided at k = 16; entropy 0.500 -> 0.600."
    )
    assert lines[f"{other} against its start"].startswith("undecided at k = 1, 4, 16; entropy")
    assert lines[f"{one} against {other}"] == "higher at k = 1, 4; undecided at k = 16."
    assert rest.startswith(f"{one} against") and "One seed" in lines["Undecided"]
    # Without theorems that no run trained on there is nothing to say.
    assert compare.in_words(runs[3:]) == []


def test_direction_in_words():
    value = {"mean": 0.1, "low": 0.05, "high": 0.2}
    lower = {"mean": -0.1, "low": -0.2, "high": -0.05}
    around = {"mean": 0.0, "low": -0.1, "high": 0.1}
    words = direction({"1": lower, "4": around, "16": value, "64": value})
    assert words == "higher at k = 16, 64; lower at k = 1; undecided at k = 4"


def test_at_equal_budgets_the_last_tenth_before_it_counts(folders):
    [table] = [t for t in compare.tables(read_runs(folders[:2])) if t.title == "At equal budgets"]
    # 19 steps of 128 rollouts before fd_grpo's last; 29 steps of 1e12 FLOPs before grpo's last.
    assert [row[0] for row in table.rows] == ["2,432 rollouts"] * 2 + ["2.9e+13 FLOPs"] * 2
    (_, _, steps, rate, entropy), (_, _, others, other, _), of_flops, _ = table.rows
    assert (steps, others) == ("20", "20")
    assert (rate, entropy) == (f"{0.5 + 0.085:.3f}", f"{0.4 - 0.085:.3f}")
    assert other == f"{0.2 + 0.185:.3f}"
    assert of_flops[2] == "8" and of_flops[3] == f"{0.3 + 0.07:.3f}"  # of fd, 4e12 each


def test_points_of_rounds(folders):
    [expert] = read_runs(folders[3:])
    path = compare.points(expert)
    assert [p["rollouts"] for p in path] == [0, 128, 256]
    assert [p["flops"] for p in path] == [0, 3e12, 6e12]


def test_files_and_console(folders, tmp_path, capsys):
    out = tmp_path / "out"
    assert compare.main([*map(str, folders), f"--out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "What each run learned from" in printed and str(out) in printed and "**" not in printed
    page = (out / "comparison.html").read_text()
    assert checked(page).seen.count("svg") == 2 and "<b>+0.183" in page
    text = (out / "comparison.md").read_text()
    assert "![Equal rollouts, equal FLOPs](comparison.png)" in text and "**+0.183" in text
    assert "| run | theorems | pass@1 | pass@4 | entropy |\n| --- | --- | --- | --- | --- |" in text
    assert "![pass@k](pass_at_k.svg)" in text
    shown = (out / "pass_at_k.svg").read_text()
    assert shown.index("train") < shown.index("held-out") and ">start<" in shown
    assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")
    first = {f.name: f.read_bytes() for f in out.iterdir()}
    compare.main([*map(str, folders), f"--out={out}"])
    assert {f.name: f.read_bytes() for f in out.iterdir()} == first


def test_a_narrow_console_breaks_no_number(monkeypatch):
    head = ["run", *(f"tokens {i}" for i in range(9))]
    content = compare.Table("T", "", head, [["fd [x]", *(f"{i},234,567 **+1**" for i in range(9))]])
    narrow = rich.console.Console(file=io.StringIO(), width=60, force_terminal=True)
    monkeypatch.setattr(compare, "console", narrow)
    compare.show(content)
    printed = narrow.file.getvalue()
    assert all(printed.count(f"{i},234,567") == 1 for i in range(9)) and printed.count("[x]") > 1
    assert printed.count("\x1b[1m+1") == 9  # in bold
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines())) <= 60


def test_runs_that_start_differently_or_have_no_steps(tmp_path):
    one = make_run(tmp_path / "one", ("grpo", record("policy_gradient", "a", "warm"), []))
    two = make_run(
        tmp_path / "two",
        ("grpo", record("policy_gradient", "b", "other"), lines(3, 0.1)),
        evals=[evaluation("b", 7)],
    )
    runs = read_runs([one, two])
    titles = {t.title: t for t in compare.tables(runs)}
    assert "different policies" in titles["What each run learned from"].note
    assert "At equal budgets" not in titles
    assert rows(runs, "What each run cost")["one"]["rollouts"] == "0"
    # Nothing to pair: the start of the second was not evaluated.
    assert results(runs, "train")["two"]["pass@1"] == "0.438 [0.100, 0.900]"
    assert not (compare.write(runs[:1], tmp_path / "out") / "comparison.png").exists()


def test_what_cannot_be_compared(tmp_path, capsys):
    warm = make_run(tmp_path / "warm", ("sft", record("supervised", "warm", "random"), []))
    for folder, message in ((warm, "no stage that learns"), (tmp_path / "x", "x is no folder")):
        assert compare.main([str(folder)]) == 2
        assert message in capsys.readouterr().err
    assert compare.main([str(warm), str(warm)]) == 2
    assert "named twice" in capsys.readouterr().err
    (warm / "sft" / "config.json").write_text('{"stage": ')
    assert compare.main([str(warm)]) == 2
    assert "sft/config.json is no JSON" in capsys.readouterr().err
