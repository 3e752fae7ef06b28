"""Feedback Distillation and GRPO, at the budget of either alone. `stages` says how:

    python -m fdjax.main --config=configs/fd_grpo.py --workdir=runs/fd_grpo    # one after the other
    ... --workdir=runs/alternating --config.stages="('sft', 'alternating')"    # steps take turns
    ... --workdir=runs/weighted --config.stages="('sft', 'weighted')"    # FD's loss + 0.5 GRPO's

The last two may begin at the same warm start, with --config.init_from=runs/fd_grpo/sft. There both
learn from the same rollouts, with one optimizer and one average as teacher; each loss has a
normaliser of its own. Set weights with --config.weighted.loss_weights.policy_gradient,
what is FD's or GRPO's alone with --config.weighted.distillation.alpha and the like.
"""

from fdjax.config import CombinedStage, LossWeights, as_config_dict, builtin


def get_config(benchmark: str = "habits"):
    config = builtin(benchmark)
    config.stages = ("sft", "fd", "grpo")
    config.alternating = as_config_dict(CombinedStage(turns=("distillation", "policy_gradient")))
    config.weighted = as_config_dict(CombinedStage(loss_weights=LossWeights(policy_gradient=0.5)))
    for stage in (config.alternating, config.weighted):
        stage.update(steps=config.fd.steps, prompts_per_step=config.fd.prompts_per_step)
        stage.optimizer.learning_rate = config.fd.optimizer.learning_rate
    config.fd.steps, config.grpo.steps = (60, 40) if benchmark == "pool" else (32, 32)
    return config
