"""Feedback Distillation after a warm start, on 96 theorems met again and again: `make run`.

    python -m fdjax.main --config=configs/fd.py --workdir=runs/fd
    python -m fdjax.main --config=configs/fd.py --workdir=runs/fd_shuffled \\
        --config.init_from=runs/fd/sft --config.feedback.shuffle=True      # the control

Expect pass@1 and pass@16 on these theorems to rise at undiminished entropy (docs/results.md).
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd")
    return config
