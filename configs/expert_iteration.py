"""Expert iteration after the same warm start: supervised learning on the policy's own verified
proofs, the baseline that rewards alone have to beat.

    python -m fdjax.main --config=configs/expert_iteration.py --workdir=runs/expert_iteration \\
        --config.init_from=runs/sft/sft
    ... --config.expert_iteration.corrections=True    # on what FD's teacher reads, in place of them

As many attempts as configs/fd.py makes, in 64 rounds of a step each.

`configs/expert_iteration.py:pool`: 12,288 rollouts in 16 rounds of 6 steps, beside the 12,800 of
configs/fd.py:pool. Seen once, at half of that (48 steps), 16 samples of each theorem: on the pool
pass@1 .160 -> .601, pass@16 .667 -> .729, entropy .354 -> .188; on 96 held-out theorems pass@1
.242 -> .220, pass@16 .833 -> .615.
"""

from fdjax.config import builtin


def get_config(benchmark: str = "habits"):
    config = builtin(benchmark)
    config.stages = ("sft", "expert_iteration")
    return config
