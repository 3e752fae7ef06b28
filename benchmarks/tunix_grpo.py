"""A GRPO update from microbatches of like lengths against tunix's GRPO step: one model, one batch.

    python -m venv venv-tunix
    venv-tunix/bin/pip install --editable . google-tunix==0.1.7 jax==0.10.2
    venv-tunix/bin/python benchmarks/tunix_grpo.py [--repeats=3]

The model and the rows are those of updates.py's mixed case: 64 rows, lognormal lengths (mean 32,
longest 128 tokens). tunix's step is its loss and its trainer's step on the padded batch, with the
same optimizer. Both must have the same loss and norm of the gradient on the first update. Then they
take turns; prints medians and their ratio. Exit code 1 if ours needs more than half of the time.
Without tunix nothing is measured.
"""

import argparse
import sys

import jax
import jax.numpy as jnp
import numpy as np
from generation import LARGE, PROMPT, interleaved, lognormal
from tunix_generation import has_tunix, make_model
from updates import make_batch

from fdjax.batches.microbatches import microbatches
from fdjax.config import PolicyGradientStage
from fdjax.models import transformer
from fdjax.runtime import sharding
from fdjax.training import build, state, step

AT_MOST = 0.5
PAD = LARGE.vocab_size - 1  # no row has it


def make_step(params, stage, batch):
    """() -> (loss, norm of the gradient) of tunix's next update on the padded batch."""
    from flax import nnx
    from tunix.rl.algo_core import grpo_loss_fn
    from tunix.rl.common import TrainExample
    from tunix.rl.grpo.grpo_learner import GRPOConfig
    from tunix.sft.peft_trainer import PeftTrainer, TrainingConfig

    settings = GRPOConfig(loss_agg_mode="token-mean", beta=0.0, epsilon=stage.clip_low)
    settings.epsilon_high, settings.temperature = stage.clip_high, 1.0
    model = make_model(params)
    trainer = PeftTrainer(model, build.stage_optimizer(stage), TrainingConfig(eval_every_n_steps=1))

    def loss(model, train_example):
        return grpo_loss_fn(model, train_example, settings, PAD, -1)

    trainer = trainer.with_loss_fn(loss, has_aux=True)
    trainer = trainer.with_gen_model_input_fn(lambda example: {"train_example": example})
    wrote, tokens = batch.loss_mask, batch.student_tokens
    example = TrainExample(
        prompt_ids=jnp.asarray(tokens[:, :PROMPT]),
        prompt_mask=jnp.ones((len(tokens), PROMPT), bool),
        completion_ids=jnp.where(wrote, tokens[:, PROMPT:], PAD),
        completion_mask=jnp.asarray(wrote),
        advantages=jnp.asarray(batch.advantages),
        ref_per_token_logps=None,
        old_per_token_logps=jnp.asarray(batch.old_logprobs),
    )
    train_step = nnx.jit(trainer.create_train_step_fn())

    def update():
        loss, _, norm = train_step(model, trainer.optimizer, example)
        return loss, norm

    return update


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if not has_tunix(__doc__):
        return 0

    stage = PolicyGradientStage(aggregation="token_mean")
    batch = make_batch("grpo", LARGE, 64, PROMPT, 128, lognormal)
    batch = batch._replace(student_tokens=np.minimum(batch.student_tokens, PAD - 1))
    objective = build.make_objective(stage)
    optimizer, mesh = build.stage_optimizer(stage), sharding.make_mesh()
    params = transformer.init(LARGE, jax.random.key(0))
    made = state.from_params(jax.tree.map(jnp.copy, params), optimizer, with_teacher=False)
    update = step.make_update(objective, optimizer, build.objective_model(LARGE))
    tokens, denominator = stage.optimizer.microbatch_tokens, objective.denominator(batch)

    def ours():
        nonlocal made
        cuts = microbatches(batch, tokens=tokens, shards=1, prompts=(PROMPT,))
        parts = sharding.put([cut.batch for cut in cuts], mesh)
        made, learned = step.learn(update, made, parts, denominator)
        return learned.metrics["loss"], learned.metrics["grad_norm"]

    theirs = make_step(params, stage, batch)
    first = {"fdjax": jax.device_get(ours()), "tunix": jax.device_get(theirs())}
    print(f"loss and norm of the gradient: {first}")
    np.testing.assert_allclose(first["fdjax"], first["tunix"], rtol=1e-3)
    seconds = interleaved({"fdjax": ours, "tunix": theirs}, args.repeats)
    ratio = seconds["fdjax"] / seconds["tunix"]
    print(
        f"{len(batch.advantages)} rows, {batch.loss_mask.sum(1).mean():.1f} tokens of 128: "
        f"{seconds['fdjax']:.2f} s against tunix's {seconds['tunix']:.2f} s: {ratio:.2f}, "
        f"at most {AT_MOST}"
    )
    return 0 if ratio <= AT_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
