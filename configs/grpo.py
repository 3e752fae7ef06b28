"""GRPO after the same warm start as FD (reuse one with --config.init_from=runs/sft/sft).

    python -m fdjax.main --config=configs/grpo.py --workdir=runs/grpo

`configs/grpo.py:pool` as in configs/fd.py.
"""

from fdjax.config import builtin


def get_config(benchmark: str = "habits"):
    config = builtin(benchmark)
    config.stages = ("sft", "grpo")
    return config
