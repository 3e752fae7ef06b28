"""GSPO (Zheng et al. 2025, Qwen): the ratio of whole responses, clipped very near to 1.

    python -m fdjax.main --config=configs/gspo.py --workdir=runs/gspo \\
        --config.init_from=runs/pool/sft

The paper's: clip 3e-4 and 4e-4, advantages over the standard deviation, a mean over responses, four
minibatches a batch, no KL. Expect a clip_fraction far above GRPO's (in the paper, a hundred times).
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "grpo")
    config.grpo.update(
        surrogate="gspo",
        clip_low=3e-4,
        clip_high=4e-4,
        normalize_std=True,
        aggregation="sequence_mean",
        minibatches=4,
    )
    return config
