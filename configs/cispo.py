"""CISPO (MiniMax-M1, 2025): the importance weight is clipped, and no token loses its gradient.

    python -m fdjax.main --config=configs/cispo.py --workdir=runs/cispo \\
        --config.init_from=runs/pool/sft

As in the paper: no lower bound, advantages over the standard deviation, a mean over all tokens,
several updates a batch, no KL. It does not print its upper bound; 5 is ScaleRL's (Khatri et al.
2025), which TRL's documentation recommends.
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "grpo")
    config.grpo.update(
        surrogate="cispo",
        clip_low=1.0,
        clip_high=4.0,  # min(rho, 1 + 4)
        normalize_std=True,
        aggregation="token_mean",
        minibatches=4,
    )
    return config
