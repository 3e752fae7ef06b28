"""The summary of a run: what is compared with what, and the order of its lines."""

import json

import numpy as np
import pytest

from fdjax.reporting.pass_at_k import pass_at_k
from fdjax.reporting.summary import summarise, summary_lines


def figures(solved: dict[str, int], temperature: float) -> dict:
    return {
        "pass_at_k": pass_at_k(np.full(len(solved), 16), np.array(list(solved.values()))),
        "entropy": 0.5 * temperature,
        "distinct_proofs": 1.5,
        "unique_ratio": 0.5,
        "distinct_2": 0.25,
        "response_tokens": 12.5,
        "truncated": 0.0,
        "unverified": 0,
        "samples": 16,
        "temperature": temperature,
        "solved": solved,
    }


def evaluation(plain: int, low_temperature: int, backwards: bool = False) -> dict[str, dict]:
    """Of four theorems, each with its own number of verified attempts; held-out ones one more."""

    def at(base: int, temperature: float) -> dict:
        solved = {f"t{i}": base + i for i in range(4)}
        return figures(dict(reversed(solved.items())) if backwards else solved, temperature)

    return {
        "train": at(plain, 1.0),
        "heldout": at(plain + 1, 1.0),
        "train at 0.6": at(low_temperature, 0.6),
        "heldout at 0.6": at(low_temperature + 1, 0.6),
    }


@pytest.fixture
def summary() -> dict:
    rates = {"feedback": 0.6, "none": 0.2, "shuffled": 0.1}
    return summarise(
        {
            "sft": evaluation(2, 5),
            "fd": evaluation(4, 6, backwards=True) | {"teacher_solve_rate": rates},
            "grpo": evaluation(8, 9),
        },
        {"fd": {"flops": 2.5e15, "rollouts": 1280, "flops_sampling": 1e15, "feedback_tokens": 0}},
    )


def minus_start(figures: dict) -> float:
    return figures["minus_start"]["1"]["mean"]


def test_each_stage_is_compared_with_the_start_at_its_own_temperature(summary):
    """pass@1 is the share of verified attempts, so differences are of counts over 16."""
    assert "minus_start" not in summary["stages"]["sft"]["train"]
    for split in ("train", "heldout"):
        plain = [minus_start(summary["stages"][n][split]) for n in ("fd", "grpo")]
        assert plain == pytest.approx([2 / 16, 6 / 16])
        low_temperature = [
            minus_start(summary["low_temperature"][n][split]) for n in ("sft", "fd", "grpo")
        ]
        # The start's line: what the low temperature alone gains, 5 - 2.
        assert low_temperature == pytest.approx([3 / 16, 1 / 16, 4 / 16])


def test_pairs_are_theorems_not_positions(summary):
    interval = summary["stages"]["fd"]["train"]["minus_start"]["1"]
    assert interval["low"] == pytest.approx(2 / 16) == interval["high"]  # 2 more of each theorem


def test_the_figures_of_a_stage(summary):
    stages = summary["stages"]
    assert list(stages) == ["sft", "fd", "grpo"]
    assert stages["fd"]["train"]["entropy"] == 0.5
    assert stages["fd"]["train"]["pass_at_k"]["1"]["mean"] == pytest.approx(5.5 / 16)
    assert stages["fd"]["spent"]["flops_sampling"] == 1e15 and "spent" not in stages["sft"]
    assert stages["fd"]["teacher_solve_rate"]["none"] == 0.2
    assert "teacher_solve_rate" not in stages["grpo"]
    assert summary["low_temperature"]["sft"]["temperature"] == 0.6
    assert json.loads(json.dumps(summary)) == summary  # no types of numpy
    assert "t0" not in json.dumps(summary)  # counts per theorem stay in the evaluations


def test_lines_are_in_order_and_the_start_at_the_low_temperature_has_one(summary):
    lines = summary_lines(summary)
    labels = [" ".join(line.split("@1 ")[0].split()) for line in lines if "@1 " in line]
    assert labels[:6] == [
        "train sft",
        "train sft at temperature 0.6",
        "train fd",
        "train fd at temperature 0.6",
        "train grpo",
        "train grpo at temperature 0.6",
    ]
    assert [label.replace("train", "heldout") for label in labels[:6]] == labels[6:]
    [start] = [line for line in lines if "sft at temperature 0.6" in line and "train" in line]
    assert "+0.188 [+0.188, +0.188]" in start and "entropy 0.300" in start
    assert lines[-2] == "spent by fd: 1,280 rollouts, 2.5e+15 FLOPs"
    assert lines[-1] == (
        "teacher of fd on failed attempts: 0.600 feedback, 0.200 none, 0.100 shuffled"
    )
