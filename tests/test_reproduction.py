"""The page of the paper's comparison, from made-up runs: intervals, verdicts, what is left out."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from fdjax.reporting.pass_at_k import bootstrap, bootstrap_seeds

ROOT = Path(__file__).parent.parent
LAUNCH = ROOT / "launch"


@pytest.fixture
def launch(monkeypatch):
    """Imports a module of launch/."""
    monkeypatch.syspath_prepend(str(LAUNCH))
    return importlib.import_module


def made_up(paper, seed_effect=0.0, **rates):
    """Runs of 60 theorems: `rates` gives each method's (solve rate, share of theorems that it can
    solve, entropy)."""
    runs, rng = {}, np.random.default_rng(0)
    for name, (rate, solvable, entropy) in rates.items():
        for seed in paper.SEEDS:
            can = np.arange(60) < 60 * solvable
            p = np.clip(rate * (1 + seed_effect * rng.normal()), 0, 1)
            solved = np.where(can, rng.binomial(64, p, 60), 0)
            runs[f"{name}-{seed}"] = {
                "theorems": "of the test",
                "samples": 64,
                "solved": solved.tolist(),
                "entropy": entropy + 0.01 * rng.normal(),
                "learned from": "verdicts only",
                "rollouts": 16384,
                "flops": 2e14,
                "curve": [[256 * i, 3e12 * i, 0.1 + i / 100, 0.3] for i in range(10)],
            }
    return runs


RATES = {  # as the paper has it
    "sft": (0.2, 0.6, 0.3),
    "fd": (0.2, 0.8, 0.45),
    "grpo": (0.5, 0.6, 0.2),
    "fd_grpo": (0.6, 1.0, 0.3),
}


def test_intervals_over_seeds_and_theorems():
    """Against resampling one by one. Without differences between seeds it is that of theorems;
    without any between theorems its variance is that of the seeds' mean."""
    values = np.random.default_rng(1).random((4, 30, 2))
    rng, means = np.random.default_rng(2), []
    for _ in range(4000):
        seeds, theorems = rng.integers(0, 4, 3), rng.integers(0, 30, 30)
        means.append(values[seeds][:, theorems].mean((0, 1)))
    expected = np.quantile(means, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(bootstrap_seeds(values), expected, atol=0.008)
    same = np.repeat(values[:1], 4, axis=0)
    np.testing.assert_allclose(bootstrap_seeds(same), bootstrap(values[0]), atol=0.005)
    np.testing.assert_allclose(bootstrap_seeds(values[:1]), bootstrap(values[0]), atol=0.005)
    of_seeds = np.random.default_rng(3).normal(size=(40, 1, 1))
    low, high = bootstrap_seeds(np.repeat(of_seeds, 30, axis=1))
    assert (high - low).item() == pytest.approx(
        2 * 1.96 * scipy.stats.sem(of_seeds).item(), rel=0.04
    )


def test_students_interval(launch):
    claims = launch("claims")
    values = np.array([0.1, 0.2, 0.15, 0.3, 0.22])
    low, high = scipy.stats.t.interval(0.95, 4, values.mean(), scipy.stats.sem(values))
    found = claims.over_seeds(values)
    assert (found["low"], found["high"]) == pytest.approx((low, high), rel=1e-12)
    assert np.isinf(claims.over_seeds(values[:1])["high"])


def verdicts(launch, runs):
    stats = {
        name: launch("claims").method(list(of_method.values()))
        for name, of_method in launch("reproduction").by_method(runs).items()
    }
    return [claim.verdict for claim in launch("claims").claims(stats)]


def test_verdicts_follow_the_figures(launch):
    paper = launch("paper")
    assert verdicts(launch, made_up(paper, **RATES)) == ["supported"] * 3
    swapped = RATES | {"fd": RATES["grpo"], "grpo": RATES["fd"]}
    kept, scales, both = verdicts(launch, made_up(paper, **swapped))
    assert kept == "not supported" and scales.startswith("not supported") and both == "supported"
    alike = dict.fromkeys(RATES, (0.3, 0.6, 0.3))
    for verdict in verdicts(launch, made_up(paper, **alike)):
        assert verdict.startswith("undecided")
    worse = RATES | {"fd_grpo": (0.1, 0.6, 0.3)}
    assert verdicts(launch, made_up(paper, **worse))[2] == (
        "not supported (0 of 8 intervals above 0, 7 below)"
    )
    for seeds in ("0", "01"):
        few = {name: run for name, run in made_up(paper, **RATES).items() if name[-1] in seeds}
        assert verdicts(launch, few) == [f"undecided (seeds: {len(seeds)})"] * 3
    del worse["fd"]
    assert verdicts(launch, made_up(paper, **worse)) == []


def test_page_and_figures_come_from_the_numbers_alone(launch, tmp_path, monkeypatch):
    paper, reproduction = launch("paper"), launch("reproduction")
    runs = made_up(paper, seed_effect=0.1, **RATES)
    runs |= {f"advice-{name}": run for name, run in runs.items() if name[-1] in "012"}
    del runs["advice-grpo-2"]
    runs["advice-fd_shuffled-1"] = runs["fd-1"]
    runs |= {"proofs-fd-1": runs["fd-2"], "proofs-fd_grpo-1": runs["fd_grpo-3"]}
    del runs["fd-4"]
    runs["fd_messages-1"] = runs["sft-1"] | {"learned from": "", "rollouts": 1, "flops": 1}
    runs["corrections-4"] = runs["sft-4"]  # at a seed that fd lacks
    runs["fd_grpo-1, its first half"] = runs["fd-1"]
    runs["fd_grpo-2"]["learned from"] = "feedback; then verdicts only"
    runs["expert_iteration-3"], runs["grpo_twice-3"] = runs["fd_grpo-3"], runs["fd-3"]
    (tmp_path / "reproduction.json").write_text(json.dumps(runs))
    monkeypatch.setattr("sys.argv", ["x", "--again", str(tmp_path)])
    assert reproduction.main() == 0
    page = (tmp_path / "reproduction.md").read_text()
    left_out = page.split("since they have not ended: ")[1].split(".")[0]
    assert "4 seeds" in page and left_out.startswith("fd (seed 4), ")
    assert "| corrections |" not in page
    # Of runs of two stages.
    assert " First halves lost: fd_grpo (seed 2), advice-fd_grpo (seed 2)." in page
    [row] = [line for line in page.splitlines() if line.startswith("| fd_messages | 1 |")]
    half = np.mean(runs["fd-1"]["solved"]) / 64
    assert f"| fd_grpo, its first half | 1 | {half:.3f} " in page
    # Compared with the start at its own seed.
    assert row.endswith(" +0.000 [+0.000, +0.000] | 0.308 +0.000 |")  # one seed has no interval
    assert row.count("+0.000 [+0.000, +0.000]") == 4
    [own] = [line for line in page.splitlines() if line.startswith("| fd_grpo minus fd_messages |")]
    gain = np.mean(runs["fd_grpo-1"]["solved"]) / 64 - np.mean(runs["sft-1"]["solved"]) / 64
    assert own.startswith(f"| fd_grpo minus fd_messages | 1 | **{gain:+.3f} [")
    assert "fd_messages (seeds 0, 2, 3, 4)" in left_out and "advice-grpo (seed 2)" in left_out
    assert "| expert_iteration minus grpo_twice | 1 | " in page
    less = np.mean([np.mean(runs[f"fd-{s}"]["solved"]) for s in range(4)])
    less = (less - np.mean([np.mean(runs[f"grpo-{s}"]["solved"]) for s in range(4)])) / 64
    assert f"* pass@1 of fd minus grpo's, beside the claim: **{less:+.3f} [" in page
    advice, proofs = page.split("## Advice")[1].split("## Whole proofs in place of corrections")
    assert "| start (sft) | 2 |" in advice
    verdicts = page.split("## The verdicts")[1].split("\n## ")[0]
    assert "97 % of the places | supported | supported | supported |" in verdicts
    assert "wrong line" + " | undecided (seeds: 2)" * 3 + " |" in verdicts
    assert "warm starts" + " | undecided (seeds: 1)" * 3 + " |" in verdicts
    assert "| fd minus fd_shuffled | 1 | +0.000 [+0.000, +0.000] |" in advice
    # The start and grpo are the main comparison's.
    for method, run in (("start (sft)", "sft-1"), ("fd", "fd-2"), ("grpo", "grpo-1")):
        assert f"| {method} | 1 | {np.mean(runs[run]['solved']) / 64:.3f} " in proofs
    assert "| expert_iteration |" not in proofs and "proofs-fd (seeds 0, 2, 3, 4)" in left_out
    assert "proofs-grpo" not in left_out
    more = (np.mean(runs["fd-2"]["solved"]) - np.mean(runs["fd-1"]["solved"])) / 64
    assert re.search(rf"\| fd, minus fd of the main comparison \| 1 \| \**\{more:+.3f} ", proofs)
    assert "| grpo, minus" not in proofs and "minus fd of the main" not in advice
    assert "**GRPO from an FD checkpoint beats both alone.** Supported." in page
    assert (
        "| start (sft) | 4 | 0." in page and "| fd_grpo | verdicts only | 16,384 | 2e+14 |" in page
    )
    for name in ("pass", "training"):
        assert f"](reproduction_{name}.svg)" in page
        assert "<svg" in (tmp_path / f"reproduction_{name}.svg").read_text()


def test_a_page_without_a_seed_that_all_methods_have(launch, tmp_path, monkeypatch):
    paper, reproduction = launch("paper"), launch("reproduction")
    monkeypatch.setattr("sys.argv", ["x", "--again", str(tmp_path)])
    runs = made_up(paper, **RATES)
    apart = {name: runs[name] for name in ("sft-0", "fd-0", "sft-1", "grpo-1")}
    weak = {f"weak-{name}": run for name, run in runs.items() if name.endswith("-0")}
    for there, sections in ((apart, 0), (weak, 1)):
        (tmp_path / "reproduction.json").write_text(json.dumps(there))
        assert reproduction.main() == 0
        page = (tmp_path / "reproduction.md").read_text()
        assert page.startswith(reproduction.INTRODUCTION.format(seeds=0, theorems=60))
        assert "fd_grpo (seeds 0, 1, 2, 3, 4)" in page and page.count("\n## ") == sections
    assert "A weaker habit" in page and not list(tmp_path.glob("*.svg"))


def test_numbers_are_read_from_workdirs(launch, tmp_path):
    reproduction = launch("reproduction")
    folder = tmp_path / "fd-0"
    stage = {"objective": "distillation", "theorems": "train"}
    feedback = {"provider": "oracle", "oracle": {"level": "correction"}}
    (folder / "fd").mkdir(parents=True)
    (folder / "sft").mkdir()
    config = {"stage": stage, "feedback": feedback, "fingerprint": "f", "before": "s"}
    (folder / "fd" / "config.json").write_text(json.dumps(config))
    step = {"cost/rollouts": 256, "cost/flops": 1e12, "solve_rate": 0.5, "policy_entropy": 0.2}
    (folder / "fd" / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": i} | step) + "\n" for i in range(200))
    )
    for stage, policy, solved in (("sft", "s", 3), ("fd", "f", 9)):
        lines = [
            {
                "key": {
                    "split": split,
                    "temperature": temperature,
                    "policy": policy,
                    "theorems": "+".join(of),
                },
                "figures": {"solved": of, "samples": 64, "entropy": 0.3},
            }
            for split, temperature, of in (
                ("test", 1.0, {"b": solved, "a": 0}),
                ("test", 1.0, {"b": 1}),  # evaluated once more, on fewer theorems
                ("train", 1.0, {"c": 1}),
                ("test", 0.6, {"b": 2, "a": 2}),
            )
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / stage / "evals.jsonl").write_text(text)
    assert reproduction.collect(tmp_path) == {}  # it has not ended
    (folder / "summary.json").write_text("{}")
    found = reproduction.collect(tmp_path)
    assert found["sft-0"] == {
        "theorems": "b+a",
        "samples": 64,
        "solved": [0, 3],
        "entropy": 0.3,
    }
    assert found["fd-0"]["solved"] == [0, 9] and found["fd-0"]["rollouts"] == 51200
    curve = found["fd-0"]["curve"]
    assert len(curve) == 64 and curve[0] == [0, 0, 0.5, 0.2] and curve[-1][0] == 50940

    both = folder.rename(tmp_path / "fd_grpo-0")  # with a second stage
    (both / "grpo").mkdir()
    config |= {"stage": {"objective": "policy_gradient"}, "fingerprint": "g", "before": "f"}
    (both / "grpo" / "config.json").write_text(json.dumps(config))
    (both / "grpo" / "metrics.jsonl").write_text(json.dumps({"step": 0} | step) + "\n")
    (both / "grpo" / "evals.jsonl").write_text(text.replace('"f"', '"g"').replace("9", "7"))
    found = reproduction.collect(tmp_path)
    assert found["fd_grpo-0"]["solved"] == [0, 7]
    assert found["fd_grpo-0, its first half"]["solved"] == [0, 9]


def test_runs_of_several_machines_are_joined(launch, tmp_path, monkeypatch, capsys):
    paper, reproduction = launch("paper"), launch("reproduction")
    file, runs = tmp_path / "reproduction.json", made_up(paper, **RATES)
    there = {name: run for name, run in runs.items() if name[-1] in "012"}
    more = {name: run for name, run in runs.items() if name[-1] in "234"}
    monkeypatch.setattr(reproduction, "collect", lambda folder: more)
    monkeypatch.setattr("sys.argv", ["x", "--add", "more", str(tmp_path)])
    file.write_text(json.dumps(there))
    assert reproduction.main() == 0 and json.loads(file.read_text()) == runs
    more["sft-2"] = more["sft-2"] | {"entropy": 0.0}
    with pytest.raises(SystemExit):
        reproduction.main()
    assert "sft-2 has other numbers" in capsys.readouterr().err
    del more["sft-2"]
    more["fd_shuffled-3"] = more["fd-3"] | {"theorems": "others"}
    with pytest.raises(SystemExit):
        reproduction.main()
    assert "different theorems: fd_grpo-4, fd_shuffled-3" in capsys.readouterr().err
    assert json.loads(file.read_text()) == runs


def test_a_folder_without_runs_leaves_the_numbers(launch, tmp_path, monkeypatch, capsys):
    (tmp_path / "reproduction.json").write_text("kept")
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path / "no"), str(tmp_path)])
    with pytest.raises(SystemExit):
        launch("reproduction").main()
    assert "no holds no finished run" in capsys.readouterr().err
    assert (tmp_path / "reproduction.json").read_text() == "kept"


def test_the_committed_page_is_that_of_the_committed_numbers(launch):
    """And README has its figures from there, or from the page of ablations."""
    docs, page = ROOT / "docs", launch("reproduction").page
    text = (docs / "reproduction.md").read_text()
    assert text == page(json.loads((docs / "reproduction.json").read_text()))
    text += (docs / "ablations.md").read_text()
    readme = (ROOT / "README.md").read_text()
    shown = re.findall(r"[+-]0\.\d+ \[.*?\]", readme)
    assert shown and [figure for figure in shown if figure not in text] == []
