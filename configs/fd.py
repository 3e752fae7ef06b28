"""Feedback Distillation after a warm start in Lean 3, on theorems that are fresh at every step.

    python -m fdjax.main --config=configs/fd.py --workdir=runs/fd
    python -m fdjax.main --config=configs/fd.py --workdir=runs/fd_shuffled \\
        --config.init_from=runs/sft/sft --config.feedback.shuffle=True      # the control

`configs/fd.py:pool` trains on 96 theorems that are met again and again; its warm start knows no
Lean 3. docs/results.md has what to expect of both.
"""

from fdjax.config import builtin


def get_config(benchmark: str = "habits"):
    config = builtin(benchmark)
    config.stages = ("sft", "fd")
    return config
