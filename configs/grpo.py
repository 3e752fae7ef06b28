"""GRPO after the same warm start (reuse one with --config.init_from=runs/fd/sft).

python -m fdjax.main --config=configs/grpo.py --workdir=runs/grpo
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "grpo")
    return config
