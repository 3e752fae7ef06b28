"""Feedback Distillation and GRPO, at the budget of either alone. `stages` says how:

    python -m fdjax.main --config=configs/fd_grpo.py --workdir=runs/fd_grpo    # one after the other
    ... --config.stages="('sft', 'alternating')"    # the steps of one stage, in turn
    ... --config.stages="('sft', 'weighted')"       # every step: FD's loss plus 0.5 of GRPO's

In the last two both learn from the same rollouts, with one optimizer and one average as teacher;
each loss has a normaliser of its own. Set weights with --config.weighted.weights.policy_gradient,
what is FD's or GRPO's alone with --config.weighted.distillation.alpha and the like.
"""

from fdjax.config import combined_stage, default


def get_config():
    config = default()
    config.stages = ("sft", "fd", "grpo")
    config.fd.steps = 60
    config.grpo.steps = 40
    config.alternating = combined_stage(turns=("distillation", "policy_gradient"))
    config.weighted = combined_stage(weights={"distillation": 1.0, "policy_gradient": 0.5})
    return config
