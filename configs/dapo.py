"""DAPO (Yu et al. 2025): clip-higher, a mean over all tokens of the batch, a soft penalty on
overlong responses, and groups that are all proved or all not replaced by others.

    python -m fdjax.main --config=configs/dapo.py --workdir=runs/dapo \\
        --config.init_from=runs/pool/sft

The paper's: clip 0.2 and 0.28, advantages over the standard deviation, no KL, 16 updates a batch
(of 512 prompts; here 4, of 16), a penalty that grows over the last fifth of the budget (4,096 of
20,480 tokens; here 5 of 28). Its rewards are 1 and -1 and the penalty is 1 at most: 0.5 where
rewards are 1 and 0. Its public recipe draws at most 10 batches a step and then gives up; here the
step goes on with the groups that were found, and a pool of 96 theorems ends after 6.
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "grpo")
    config.grpo.update(
        clip_low=0.2,
        clip_high=0.28,
        normalize_std=True,
        aggregation="token_mean",
        minibatches=4,
    )
    config.grpo.variants.update(overlong_buffer=5, overlong_penalty=0.5, max_refills=9)
    return config
