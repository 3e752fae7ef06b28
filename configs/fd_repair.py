"""Feedback Distillation on attempts of up to three turns: a proof, Lean's first error and its goal,
a mended proof.

    python -m fdjax.main --config=configs/fd_repair.py --workdir=runs/repair

The warm start learns to read what Lean answers: a failed attempt of its own, the answer, the
attempt mended. `configs/fd_repair.py:pool` as in configs/fd.py.
"""

from fdjax.config import repairing


def get_config(benchmark: str = "habits"):
    config = repairing(benchmark)
    config.stages = ("sft", "fd")
    return config
