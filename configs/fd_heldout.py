"""Feedback Distillation for theorems that are never trained on: fresh prompts at every step, the
shortest known proof as feedback, and reverse KL.

    python -m fdjax.main --config=configs/fd_heldout.py --workdir=runs/fd_heldout
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd")
    config.data.pool = "1024"  # 64 steps of 16 prompts: none is met twice
    config.feedback.help = "proof"
    config.fd.update(steps=64, alpha=1.0, ema_rate=0.01)
    return config
