"""The warm start alone: supervised learning on reference proofs and on reading feedback.

python -m fdjax.main --config=configs/sft.py --workdir=runs/sft
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft",)
    return config
