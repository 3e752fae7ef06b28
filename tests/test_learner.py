"""Several updates of one batch, and what a policy says of a batch's responses."""

import math
from types import SimpleNamespace

import jax
import numpy as np
from tiny_model import bag_of_words, log_softmax
from tiny_updates import P, make_batch

from fdjax.config import policy_gradient_stage
from fdjax.runtime import sharding
from fdjax.training import learner


def run_on(mesh):
    return SimpleNamespace(prompting=SimpleNamespace(mesh=mesh))


def test_a_batch_is_learned_from_in_epochs_of_minibatches():
    seen = []

    def update(state, batch):
        seen.append(np.asarray(batch["row"]).tolist())
        sometimes = math.nan if len(seen) % 2 else 3.0
        return state + 1, {"first": np.float32(seen[-1][0]), "some": sometimes, "none": math.nan}

    stage = policy_gradient_stage(minibatches=3, epochs=2)
    this = run_on(sharding.make_mesh())
    state, metrics = learner.learn(this, stage, update, 0, {"row": np.arange(6)})
    assert state == 6 and seen == [[0, 3], [1, 4], [2, 5]] * 2
    assert metrics["first"] == 1 and metrics["some"] == 3 and math.isnan(metrics["none"])


def test_scores_are_those_of_the_rows_in_their_order(monkeypatch):
    """Computed a few rows at a time on several devices."""
    init, model = bag_of_words()
    monkeypatch.setattr(learner, "make_model", lambda this: model)
    stage = policy_gradient_stage(minibatches=2, temperature=0.7)
    stage.optimizer.microbatches = 2
    params, batch = init(jax.random.key(0)), make_batch("policy_gradient")
    mesh = sharding.make_mesh(1, 2, 2)
    with jax.set_mesh(mesh):
        scores = learner.make_score(run_on(mesh), stage)(params, batch)
    hidden = np.asarray(
        model.hidden_states(params, batch.student_tokens, batch.student_attention_mask)
    )
    logs = log_softmax(hidden[:, P - 1 : -1] @ np.asarray(params["lm_head"]) / 0.7)
    expected = np.take_along_axis(logs, batch.student_tokens[:, P:, None], -1)[..., 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
