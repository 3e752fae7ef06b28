"""What a stage's config is built into: several updates of one batch, and scores of responses."""

import math
from types import SimpleNamespace

import jax
import numpy as np
from tiny_model import bag_of_words, log_softmax
from tiny_updates import P, make_batch

from fdjax.config import OptimizerConfig, PolicyGradientStage
from fdjax.runtime import sharding
from fdjax.training import build


def run_on(mesh):
    return SimpleNamespace(generator=SimpleNamespace(mesh=mesh, model=None))


def test_a_batch_is_learned_from_in_epochs_of_minibatches(monkeypatch):
    seen = []

    def update(state, batch):
        seen.append(np.asarray(batch["row"]).tolist())
        sometimes = math.nan if len(seen) % 2 else 3.0
        return state + 1, {"first": np.float32(seen[-1][0]), "some": sometimes, "none": math.nan}

    monkeypatch.setattr(build.step, "make_update", lambda *_, **__: update)
    stage = PolicyGradientStage(minibatches=3, epochs=2)
    learn = build.make_update(run_on(sharding.make_mesh()), stage, None, np.zeros(()))
    state, metrics = learn(0, {"row": np.arange(6)})
    assert state == 6 and seen == [[0, 3], [1, 4], [2, 5]] * 2
    assert metrics["first"] == 1 and metrics["some"] == 3 and math.isnan(metrics["none"])


def test_scores_are_those_of_the_rows_in_their_order(monkeypatch):
    """Computed a few rows at a time on several devices."""
    init, model = bag_of_words()
    monkeypatch.setattr(build, "make_model", lambda config: model)
    optimizer = OptimizerConfig(microbatches=2)
    stage = PolicyGradientStage(minibatches=2, temperature=0.7, optimizer=optimizer)
    params, batch = init(jax.random.key(0)), make_batch("policy_gradient")
    mesh = sharding.make_mesh(1, 2, 2)
    with jax.set_mesh(mesh):
        scores = build.make_score(run_on(mesh), stage)(params, batch)
    hidden = np.asarray(
        model.hidden_states(params, batch.student_tokens, batch.student_attention_mask)
    )
    logs = log_softmax(hidden[:, P - 1 : -1] @ np.asarray(params["lm_head"]) / 0.7)
    expected = np.take_along_axis(logs, batch.student_tokens[:, P:, None], -1)[..., 0]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
