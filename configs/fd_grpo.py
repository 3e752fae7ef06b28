"""Feedback Distillation, then GRPO from its checkpoint, at the budget of either alone.

    python -m fdjax.main --config=configs/fd_grpo.py --workdir=runs/fd_grpo
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd", "grpo")
    config.fd.steps = 60
    config.grpo.steps = 40
    return config
