"""Feedback Distillation and GRPO, at the budget of either alone. `stages` says how:

    python -m fdjax.main --config=configs/fd_grpo.py --workdir=runs/fd_grpo    # one after the other
    ... --workdir=runs/alternating --config.stages="('sft', 'alternating')"    # steps take turns
    ... --workdir=runs/weighted --config.stages="('sft', 'weighted')"    # FD's loss + 0.5 GRPO's

The last two may begin at the same warm start, with --config.init_from=runs/fd_grpo/sft. There both
learn from the same rollouts, with one optimizer and one average as teacher; each loss has a
normaliser of its own. Set weights with --config.weighted.loss_weights.policy_gradient,
what is FD's or GRPO's alone with --config.weighted.distillation.alpha and the like.
"""

from fdjax.config import CombinedStage, LossWeights, as_config_dict, default


def get_config():
    config = default()
    config.stages = ("sft", "fd", "grpo")
    config.fd.steps = 60
    config.grpo.steps = 40
    config.alternating = as_config_dict(CombinedStage(turns=("distillation", "policy_gradient")))
    config.weighted = as_config_dict(CombinedStage(loss_weights=LossWeights(policy_gradient=0.5)))
    return config
