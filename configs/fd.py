"""Feedback Distillation after a warm start: `make run`.

    python -m fdjax.main --config=configs/fd.py --workdir=runs/fd
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd")
    return config
