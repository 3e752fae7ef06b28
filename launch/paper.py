"""The paper's comparison: Feedback Distillation, GRPO, one after the other, and the control whose
feedback is about other theorems, all begun with one warm start.

    python launch/paper.py runs/paper                                # here, one after the other
    python launch/paper.py /mnt/fdjax/paper --on=pods --accelerator=v5litepod-16 \\
        --zone=us-west4-a --share=10.0.0.2:/share                    # a TPU pod for each
    python -m fdjax.reporting.compare runs/paper/{fd,grpo,fd_grpo,control}-0   # what came of it
"""

import jobs

SEEDS = (0,)
METHODS = {
    "fd": ("configs/fd.py", {}),
    "grpo": ("configs/grpo.py", {}),
    "fd_grpo": ("configs/fd_grpo.py", {}),
    "control": ("configs/fd.py", {"feedback.shuffle": True}),
}


def comparison() -> list[jobs.Job]:
    return [
        jobs.Job("sft", "configs/sft.py"),
        *(
            jobs.Job(f"{method}-{seed}", config, flags | {"seed": seed}, begins_at="sft/sft")
            for method, (config, flags) in METHODS.items()
            for seed in SEEDS
        ),
    ]


if __name__ == "__main__":
    jobs.run(comparison(), __doc__.split("\n\n")[0])
