"""Dr.GRPO (Liu et al. 2025, "Understanding R1-Zero-Like Training"): advantages without a standard
deviation, every token weighed alike by a constant: responses of the batch times their budget.

    python -m fdjax.main --config=configs/dr_grpo.py --workdir=runs/dr_grpo \\
        --config.init_from=runs/pool/sft

Symmetric clip of 0.2, no KL, as in the paper. Expect losses and gradients far smaller than with a
mean over tokens: responses are much shorter than their budget. Adam does not mind.
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "grpo")
    config.grpo.update(clip_low=0.2, clip_high=0.2, normalize_std=False, aggregation="constant")
    return config
