"""The paper's comparison: Feedback Distillation, GRPO, one after the other, and the control with
feedback on other theorems, all from one warm start.

    python launch/paper.py runs/paper                                # here, one after the other
    python launch/paper.py /mnt/fdjax/paper --on=pods --accelerator=v5litepod-16 \\
        --zone=us-west4-a --share=10.0.0.2:/share                    # a TPU pod for each
    fdjax compare runs/paper/{fd,grpo,fd_grpo,control}-0
"""

import jobs

METHODS = {
    "fd": ("configs/fd.py", {}),
    "grpo": ("configs/grpo.py", {}),
    "fd_grpo": ("configs/fd_grpo.py", {}),
    "control": ("configs/fd.py", {"feedback.shuffle": True}),
}
SEEDS = (0,)


def comparison() -> list[jobs.Job]:
    return [
        jobs.Job("sft", "configs/sft.py"),
        *(
            jobs.Job(f"{method}-{seed}", config, flags | {"seed": seed}, init_from="sft/sft")
            for method, (config, flags) in METHODS.items()
            for seed in SEEDS
        ),
    ]


if __name__ == "__main__":
    jobs.run(comparison(), __doc__.split("\n\n")[0])
