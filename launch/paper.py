"""The paper's comparison on the benchmark of habits: eight methods at five seeds, each from the
seed's own warm start; three of them, at three seeds, at two further strengths of the habit.

    python launch/paper.py runs/paper --at_once=2                      # here; resumes
    python launch/reproduction.py runs/paper docs                      # the page and its figures
    python launch/paper.py /mnt/fdjax/paper --on=pods --accelerator=v5litepod-16 \\
        --zone=us-west4-a --share=10.0.0.2:/share                      # a TPU pod for each

A seed is of all random numbers of a run; theorems are the same at all seeds. Every method makes as
many attempts as FD, except grpo_twice.
"""

import jobs

SEEDS = range(5)
METHODS = {
    "fd": ("configs/fd.py", {}),
    "grpo": ("configs/grpo.py", {}),
    "fd_grpo": ("configs/fd_grpo.py", {}),  # half of the steps each
    # At the steps of fd and grpo together; the first half of its theorems is theirs.
    "grpo_twice": ("configs/grpo.py", {"grpo.steps": 128, "data.train": "4096"}),
    "corrections": ("configs/expert_iteration.py", {"expert_iteration.corrections": True}),
    "expert_iteration": ("configs/expert_iteration.py", {}),
    "fd_shuffled": ("configs/fd.py", {"feedback.shuffle": True}),
    "fd_messages": ("configs/fd.py", {"feedback.provider": "lean_messages"}),
}
# Shares of the places that the warm start has learned in Lean 3; 0.97 is the recipes' own.
STRENGTHS = {"weak": 0.8, "strong": 0.998}
SEEDS_AT_STRENGTHS = SEEDS[:3]
AT_STRENGTHS = ("fd", "grpo", "fd_grpo")


def comparison() -> list[jobs.Job]:
    """By seed, so that what is there at any time is whole seeds; the other strengths come last."""
    main = [job for seed in SEEDS for job in _of_seed(seed, METHODS)]
    further = [
        job
        for seed in SEEDS_AT_STRENGTHS
        for strength, share in STRENGTHS.items()
        for job in _of_seed(seed, AT_STRENGTHS, f"{strength}-", {"data.dialect_share": share})
    ]
    return main + further


def _of_seed(seed: int, methods, prefix: str = "", flags=None) -> list[jobs.Job]:
    flags, warm = (flags or {}) | {"seed": seed}, f"{prefix}sft-{seed}"
    return [
        jobs.Job(warm, "configs/sft.py", flags),
        *(
            jobs.Job(f"{prefix}{m}-{seed}", config, own | flags, init_from=f"{warm}/sft")
            for m, (config, own) in ((m, METHODS[m]) for m in methods)
        ),
    ]


if __name__ == "__main__":
    jobs.run(comparison(), __doc__.split("\n\n")[0])
