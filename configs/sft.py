"""The warm start alone: supervised learning on proofs, in Lean 3, and on reading feedback.

    python -m fdjax.main --config=configs/sft.py --workdir=runs/sft

`configs/sft.py:pool` as in configs/fd.py: its proofs are Lean 4.
"""

from fdjax.config import builtin


def get_config(benchmark: str = "habits"):
    config = builtin(benchmark)
    config.stages = ("sft",)
    return config
