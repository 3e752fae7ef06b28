"""GRPO on attempts of up to three turns, after the warm start of configs/fd_repair.py (reuse it
with --config.init_from=runs/repair/sft).

    python -m fdjax.main --config=configs/grpo_repair.py --workdir=runs/grpo_repair

The reward is the verdict on the last proof: one advantage for all turns of an attempt.
`configs/grpo_repair.py:pool` as in configs/fd.py.
"""

from fdjax.config import repairing


def get_config(benchmark: str = "habits"):
    config = repairing(benchmark)
    config.stages = ("sft", "grpo")
    return config
