"""The paper's comparison on the benchmark of habits: nine methods at five seeds, each from the
seed's own warm start; three of them, at three seeds, at two further strengths of the habit and
with advice as feedback.

    python launch/paper.py runs/paper --at_once=2                      # here; resumes
    python launch/reproduction.py runs/paper docs                      # the page and its figures
    python launch/paper.py /mnt/fdjax/paper --on=pods --accelerator=v5litepod-16 \\
        --zone=us-west4-a --share=10.0.0.2:/share                      # a TPU pod for each

A seed sets all random numbers of a run; theorems are the same at all seeds. Every method makes as
many attempts as FD, except grpo_twice.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jobs

SEEDS = range(5)
CLAIMED = {  # what the claims are about
    "fd": ("configs/fd.py", {}),
    "grpo": ("configs/grpo.py", {}),
    "fd_grpo": ("configs/fd_grpo.py", {}),  # half of the steps each
}
OTHERS = {
    # At the steps of fd and grpo together; the first half of its theorems is theirs.
    "grpo_twice": ("configs/grpo.py", {"grpo.steps": 128, "data.train": "4096"}),
    "corrections": ("configs/expert_iteration.py", {"expert_iteration.corrections": True}),
    # As fd_grpo, with supervised learning of the corrections in FD's place.
    "corrections_grpo": (
        "configs/expert_iteration.py",
        {
            "stages": "('sft','expert_iteration','grpo')",
            "expert_iteration.corrections": True,
            "expert_iteration.steps": 32,
            "grpo.steps": 32,
        },
    ),
    "expert_iteration": ("configs/expert_iteration.py", {}),
    "fd_shuffled": ("configs/fd.py", {"feedback.shuffle": True}),
    "fd_messages": ("configs/fd.py", {"feedback.provider": "lean_messages"}),
}


class Setting(NamedTuple):
    """A comparison of its own, with warm starts of its own."""

    title: str
    flags: Mapping[str, Any]
    methods: Mapping[str, tuple[str, Mapping[str, Any]]] = CLAIMED


SETTINGS = {  # the recipes' own share of places that the warm start has learned in Lean 3 is 0.97
    "weak": Setting("A weaker habit: 80 % of the places", {"data.dialect_share": 0.8}),
    "strong": Setting("A stronger habit: 99.8 % of the places", {"data.dialect_share": 0.998}),
    "advice": Setting(
        "Advice in place of proofs: Lean's message, with Lean 4's form of the wrong line",
        {"feedback.provider": "lean_messages", "feedback.lean_messages.level": "hint"},
        CLAIMED | {"fd_shuffled": OTHERS["fd_shuffled"]},
    ),
}
SEEDS_OF_SETTINGS = SEEDS[:3]


def comparison() -> list[jobs.Job]:
    """What the claims need comes first, seed by seed, then the other methods, then the further
    settings: what is there at any time answers as much as it can.
    """
    claimed = [job for seed in SEEDS for job in (_warm_start(seed), *_of_seed(seed, CLAIMED))]
    others = [job for seed in SEEDS for job in _of_seed(seed, OTHERS)]
    further = [
        job
        for seed in SEEDS_OF_SETTINGS
        for name, setting in SETTINGS.items()
        for job in (_warm_start(seed, name), *_of_seed(seed, setting.methods, name))
    ]
    return claimed + others + further


def _warm_start(seed: int, setting: str | None = None) -> jobs.Job:
    flags = SETTINGS[setting].flags if setting else {}
    return jobs.Job(_name("sft", seed, setting), "configs/sft.py", {**flags, "seed": seed})


def _of_seed(seed: int, methods, setting: str | None = None) -> list[jobs.Job]:
    warm = _warm_start(seed, setting)
    return [
        jobs.Job(_name(method, seed, setting), config, own | warm.flags, f"{warm.name}/sft")
        for method, (config, own) in methods.items()
    ]


def _name(method: str, seed: int, setting: str | None) -> str:
    return f"{setting}-{method}-{seed}" if setting else f"{method}-{seed}"


if __name__ == "__main__":
    jobs.run(comparison(), __doc__.split("\n\n")[0])
