"""What a stage learns with: the state it begins with, its update, and the updates of a batch."""

import functools
import math

import jax
import numpy as np
from ml_collections import ConfigDict

from fdjax.batches.arrays import minibatches
from fdjax.config import part
from fdjax.models import transformer
from fdjax.objectives.protocol import Model
from fdjax.runtime import sharding
from fdjax.training import sources as stages
from fdjax.training import state
from fdjax.training import step as update
from fdjax.training.build import make_objective, updates_per_step
from fdjax.training.manifest import Run


def make_update(this: Run, config: ConfigDict, optimizer, train_state) -> update.Update:
    distillation = part(config, "distillation")
    averaged = distillation and distillation.teacher == "ema"
    return update.make_update(
        make_objective(config),
        optimizer,
        make_model(this),
        microbatches=config.optimizer.microbatches,
        ema_rate=distillation.ema_rate if averaged else 0.0,
        ema_every=updates_per_step(config) if averaged and distillation.ema_per == "batch" else 1,
        shardings=state.shardings(train_state, this.prompting.mesh),
    )


def make_score(this: Run, config: ConfigDict) -> stages.Score:
    """What a policy says of the responses in a policy gradient's batch, computed on the device,
    as many rows at a time as an update computes.
    """
    objective, model = make_objective(part(config, "policy_gradient")), make_model(this)
    count = config.minibatches * config.optimizer.microbatches

    @jax.jit
    def score(params, batch):
        return objective.logprobs(model, params, batch)

    def on_host(params, batch):
        parts = [sharding.put(rows, this.prompting.mesh) for rows in minibatches(batch, count)]
        scored = sharding.fetch([score(params, rows) for rows in parts])
        return np.stack(scored, axis=1).reshape(batch.loss_mask.shape)  # undoes `minibatches`

    return on_host


def make_model(this: Run) -> Model:
    hidden_states, head = (
        functools.partial(function, this.prompting.model)
        for function in (transformer.hidden_states, transformer.head)
    )
    return Model(hidden_states, head)


def begin(this: Run, params, optimizer, *, with_teacher: bool) -> state.TrainState:
    """A fresh state around the parameters of the stage before, which are donated, or around random
    ones.
    """
    mesh = this.prompting.mesh
    if params is not None:
        return state.restart(params, optimizer, mesh, with_teacher=with_teacher)
    init = functools.partial(transformer.init, this.prompting.model)
    key = jax.random.key(this.config.seed)
    return state.create(init, key, optimizer, mesh, with_teacher=with_teacher)


def has_teacher(config: ConfigDict) -> bool:
    """Of its own: an average or what the stage began with, also as the KL's reference."""
    distillation, policy_gradient = (
        part(config, name) for name in ("distillation", "policy_gradient")
    )
    return bool(
        (distillation and distillation.teacher != "live")
        or (policy_gradient and policy_gradient.kl_coefficient)
    )


def learn(
    this: Run, config: ConfigDict, update_state: update.Update, train_state: state.TrainState, batch
) -> tuple[state.TrainState, dict[str, float]]:
    """The updates of a batch: `epochs` times one for each of its minibatches. A metric is the mean
    over the updates that had something to say on it.
    """
    parts = minibatches(batch, config.get("minibatches", 1))
    parts = [sharding.put(rows, this.prompting.mesh) for rows in parts]
    learned = []
    for rows in parts * config.get("epochs", 1):
        train_state, metrics = update_state(train_state, rows)
        learned.append(metrics)
    learned = sharding.fetch(learned)  # waits for the device
    known = {name: [float(m[name]) for m in learned if not np.isnan(m[name])] for name in metrics}
    means = {name: sum(x) / len(x) if x else math.nan for name, x in known.items()}
    return train_state, means
