"""Expert iteration after the same warm start: supervised learning on the policy's own verified
proofs, the baseline that rewards alone have to beat.

    python -m fdjax.main --config=configs/expert_iteration.py --workdir=runs/expert_iteration \\
        --config.init_from=runs/fd/sft

12,288 rollouts in 16 rounds of 6 steps, beside the 12,800 of configs/fd.py.
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "expert_iteration")
    return config
