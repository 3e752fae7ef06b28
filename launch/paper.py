"""The paper's comparison on the benchmark of habits: nine methods at five seeds, each from the
seed's own warm start. The methods that the claims are about also at two further strengths of the
habit, with advice and with whole proofs as feedback.

    python launch/paper.py runs/paper --at_once=2                      # here; resumes
    python launch/reproduction.py runs/paper docs                      # the page and its figures
    python launch/paper.py /mnt/fdjax/paper --on=pods --accelerator=v5litepod-16 \\
        --zone=us-west4-a --share=10.0.0.2:/share                      # a TPU pod for each

A seed sets all random numbers of a run; theorems are the same at all seeds. Every method makes as
many attempts as FD, except grpo_twice.
"""

from collections.abc import Mapping, Sequence
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


METHODS = {"sft": ("configs/sft.py", {})} | CLAIMED | OTHERS


class Setting(NamedTuple):
    """A comparison of its own."""

    title: str
    flags: Mapping[str, Any]
    methods: tuple[str, ...] = tuple(CLAIMED)
    seeds: Sequence[int] = SEEDS[:3]
    shared: tuple[str, ...] = ()  # methods whose runs are the main comparison's; `sft`: its starts
    note: str = ""  # on the page


SETTINGS = {  # the recipes' own share of places that the warm start has learned in Lean 3 is 0.97
    "weak": Setting("A weaker habit: 80 % of the places", {"data.dialect_share": 0.8}),
    "strong": Setting("A stronger habit: 99.8 % of the places", {"data.dialect_share": 0.998}),
    "advice": Setting(
        "Advice in place of proofs: Lean's message, with Lean 4's form of the wrong line",
        {"feedback.provider": "lean_messages", "feedback.lean_messages.level": "hint"},
        (*CLAIMED, "fd_shuffled"),
    ),
    # The best feedback of launch/what_matters.py, which has figures of validation theorems.
    "proofs": Setting(
        "Whole proofs in place of corrections, from the same warm starts",
        {"feedback.oracle.level": "proof"},
        (*CLAIMED, "corrections"),
        SEEDS,
        shared=("sft", "grpo"),
        note="The warm starts and `grpo` are those of the main comparison. The starts have learned "
        "to read corrections, not whole proofs. `corrections` learns the whole proofs, too.",
    ),
}


def comparison() -> list[jobs.Job]:
    """What the claims need comes first, seed by seed, then the other methods, then the further
    settings: what is there at any time answers as much as it can.
    """
    claimed = [job_of(method, seed) for seed in SEEDS for method in ("sft", *CLAIMED)]
    others = [job_of(method, seed) for seed in SEEDS for method in OTHERS]
    further = [
        job_of(method, seed, name)
        for seed in SEEDS
        for name, setting in SETTINGS.items()
        if seed in setting.seeds
        for method in ("sft", *setting.methods)
    ]
    return list({job.name: job for job in claimed + others + further}.values())


def job_of(method: str, seed: int, setting: str = "") -> jobs.Job:
    """A method's run at a seed; the main comparison's without a setting, or with one that shares
    it.
    """
    if setting and method in SETTINGS[setting].shared:
        return job_of(method, seed)
    config, flags = METHODS[method]
    if setting:
        flags = flags | SETTINGS[setting].flags
    return jobs.Job(
        f"{setting}-{method}-{seed}" if setting else f"{method}-{seed}",
        config,
        flags | {"seed": seed},
        init_from="" if method == "sft" else f"{job_of('sft', seed, setting).name}/sft",
    )


if __name__ == "__main__":
    jobs.run(comparison(), __doc__.split("\n\n")[0])
