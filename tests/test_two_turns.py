"""An attempt of two turns with a tool's answer between them, through batches and updates.

The tool's tokens are attended to, by student and teacher, and never trained on.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_model import FREE, bag_of_words, tiny_transformer
from tiny_updates import distillation, policy_gradient, whole_update

from fdjax.batches import arrays
from fdjax.batches.arrays import Shape
from fdjax.training import state
from fdjax.types import Attempt, Candidate, Segment

FIRST, TOOL, SECOND = (11, 12, 13), (41, 42, 43, 44), (14, 15, 2)
R = 12  # two columns of padding
ATTEMPT = Attempt(
    theorem_id="t",
    sample=0,
    segments=(Segment(FIRST), Segment(TOOL, "tool"), Segment(SECOND)),
    logprobs=(-3.0,) * 3 + (0.0,) * 4 + (-3.0,) * 3,
    finished=True,
    candidate=Candidate(" by\n  x"),
    offsets=(0,) * 10,
)
PROMPT, TEACHER_PROMPT = [1, 5, 6], [1, 5, 6, 30, 31]
BY_MODEL = np.array([True] * 3 + [False] * 4 + [True] * 3 + [False] * 2)
BEFORE, AFTER = np.arange(R) < 3, BY_MODEL & (np.arange(R) > 3)

OBJECTIVES = {
    "distillation": distillation(chunk=16),
    "policy_gradient": policy_gradient(chunk=16),
}


def make_batch(kind, attempt=ATTEMPT):
    """Two rows: the attempt and another one."""
    other = dataclasses.replace(
        attempt, segments=(Segment((21, 22, 23, 2)),), logprobs=(-3.0,) * 4, offsets=(0,) * 4
    )
    if kind == "policy_gradient":
        rows = [arrays.PolicyGradientRow(PROMPT, a, v) for a, v in ((attempt, 1), (other, -0.5))]
        return arrays.policy_gradient_batch(rows, Shape(2, 4, R), pad_id=0)
    rows = [
        arrays.DistillationRow(
            PROMPT, TEACHER_PROMPT, a, None, [float(by_model) for by_model in a.trained]
        )
        for a in (attempt, other)
    ]
    return arrays.distillation_batch(rows, Shape(2, 4, R), 6, pad_id=0)


def only(kind, batch, columns):
    """The first row alone, learned from in `columns`."""
    field = {"distillation": "weights", "policy_gradient": "loss_mask"}[kind]
    mask = np.stack([columns, np.zeros(R, bool)]) & np.asarray(getattr(batch, field), bool)
    return batch._replace(**{field: mask.astype(getattr(batch, field).dtype)})


def with_tool_token(batch, field, value=50):
    """The batch with `value` for the third of the tool's tokens."""
    tokens = np.array(getattr(batch, field))
    tokens[0, -R:][5] = value
    return batch._replace(**{field: tokens})


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_masks_of_models_and_tools_tokens(kind):
    batch = make_batch(kind)
    learned = batch.weights > 0 if kind == "distillation" else batch.loss_mask
    np.testing.assert_array_equal(learned[0], BY_MODEL)
    for field in ("student", "teacher") if kind == "distillation" else ("student",):
        tokens, mask = getattr(batch, f"{field}_tokens"), getattr(batch, f"{field}_attention_mask")
        assert tuple(tokens[0, -R:][:10]) == FIRST + TOOL + SECOND
        np.testing.assert_array_equal(mask[0, -R:], np.arange(R) < 10)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_what_follows_the_tools_answer_depends_on_it(kind):
    # One of the two with a real transformer, whose attention mask its tests cover.
    init, model = {
        "distillation": lambda: tiny_transformer(num_layers=1),
        "policy_gradient": bag_of_words,
    }[kind]()
    params, teacher = init(jax.random.key(0)), init(jax.random.key(1))
    teacher = teacher if kind == "distillation" else None

    @jax.jit
    def loss(batch):
        return OBJECTIVES[kind].loss(model, params, teacher, batch)[0]

    fields = ["student_tokens"] + ["teacher_tokens"] * (kind == "distillation")
    for columns, depends in ((AFTER, True), (BEFORE, False)):
        batch = only(kind, make_batch(kind), columns)
        value = float(loss(batch))
        for field in fields:
            changed = float(loss(with_tool_token(batch, field)))
            assert (abs(changed - value) > 1e-5) == depends, (field, value, changed)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_no_gradient_reaches_what_predicts_the_tools_tokens(kind):
    """Hidden states are the parameters: each predicts one token."""
    batch = make_batch(kind)
    keys = jax.random.split(jax.random.key(0), 4)
    length = max(t.shape[1] for t in batch if getattr(t, "ndim", 0) == 2)
    student = {
        "hidden": jax.random.normal(keys[0], (2, batch.student_tokens.shape[1], 8)),
        "head": jax.random.normal(keys[1], (8, 64)),
    }
    teacher = {
        "hidden": jax.random.normal(keys[2], (2, length, 8)),
        "head": jax.random.normal(keys[3], (8, 64)),
    }
    gradient = jax.grad(lambda p: OBJECTIVES[kind].loss(FREE, p, teacher, batch)[0])(student)
    reached = np.abs(gradient["hidden"][0, -R - 1 : -1]).max(axis=-1) > 0
    np.testing.assert_array_equal(reached, BY_MODEL)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_training_on_it_works(kind):
    init, model = bag_of_words()
    params = init(jax.random.key(0))
    optimizer = optax.adam(3e-2)
    made = state.from_params(params, optimizer, with_teacher=kind == "distillation")
    update = whole_update(OBJECTIVES[kind], optimizer, model)
    batch = jax.tree.map(jnp.asarray, make_batch(kind))

    def logprob(params):
        """Per token of the attempt, the tool's included."""
        hidden = model.hidden_states(params, batch.student_tokens, batch.student_attention_mask)
        logits = (hidden @ model.unembedding(params))[0, -R - 1 : -1]
        targets = batch.student_tokens[0, -R:, None]
        return np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), targets, 1)[:, 0]

    before = logprob(made.params)
    history = []
    for _ in range(15):
        made, metrics = update(made, batch)
        history.append(float(metrics["loss"]))
    after = logprob(made.params)
    assert metrics["denominator"] == BY_MODEL.sum() + 4 and metrics["skipped"] == 0
    assert history[-1] < history[0]
    if kind == "policy_gradient":  # rewarded: the model's tokens become likelier
        assert (after - before)[BY_MODEL].mean() > 0.05
