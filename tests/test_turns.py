"""Learning from attempts of several turns: tokens of tools are read and never learned."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from episodes import FEEDBACK, THEOREM, episode, refused
from tiny_model import assert_trees_close, bag_of_words, differences, log_softmax
from tiny_updates import distillation, policy_gradient

from fdjax.batches import arrays
from fdjax.batches.advantages import outcomes, overlong
from fdjax.batches.arrays import Shape
from fdjax.batches.microbatches import microbatches
from fdjax.batches.token_weights import first_token_at, token_lines, token_weights
from fdjax.config import DistillationConfig, DistillationVariants
from fdjax.objectives.supervised import Supervised
from fdjax.rollout.attempts import policy_entropy
from fdjax.types import Candidate, Verdict

V, D, R = 40, 3, 24
PROMPTS = ([1, 2], [2], [1, 1, 2])
ATTEMPTS = (episode(4, 6), episode(3, 2, 7, tools=4), episode(5))
RNG = np.random.default_rng(0)
STUDENT, TEACHER = (
    {"embedding": RNG.normal(size=(V, D)), "lm_head": RNG.normal(size=(D, V))} for _ in range(2)
)
_, MODEL = bag_of_words()
WIDE = {"f": np.float64}
SHAPE = Shape(len(ATTEMPTS), 3, R)


def next_tokens(params, prompt, attempt, temperature=1.0):
    """Log-probabilities [tokens, V] of what follows the prompt and each token but the last: the
    model reads every token before, whoever wrote it.
    """
    ids = [*prompt, *attempt.tokens]
    means = [params["embedding"][ids[:end]].mean(0) for end in range(len(prompt), len(ids))]
    return log_softmax(np.array(means) @ params["lm_head"] / temperature)


def learned_in_parts(objective, batch, params, teacher=None):
    """(loss, gradient) in float64 over microbatches of a few columns."""
    denominator = max(float(objective.denominator(batch)), 1)
    value, slope = 0.0, None
    with jax.enable_x64(True):
        for part in microbatches(batch, tokens=24, shards=1, prompts=(4,)):
            wide = jax.tree.map(lambda x: np.asarray(x, WIDE.get(x.dtype.kind)), part.batch)

            def loss(params, wide=wide):
                return objective.loss(MODEL, params, teacher, wide)[0] / denominator

            one, gradient = jax.value_and_grad(loss)(jax.tree.map(jnp.array, params))
            value += float(one)
            slope = gradient if slope is None else jax.tree.map(jnp.add, slope, gradient)
    return value, jax.tree.map(np.asarray, slope)


def check(objective, batch, expected, teacher=None):
    value, slope = learned_in_parts(objective, batch, STUDENT, teacher)
    np.testing.assert_allclose(value, expected(STUDENT), rtol=1e-7)
    assert_trees_close(slope, differences(expected, STUDENT), atol=1e-7)


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "constant"])
@pytest.mark.parametrize("surrogate", ["ppo", "gspo"])
def test_the_gradient_of_grpo(aggregation, surrogate):
    gains, process = (
        (0.7, -0.4, -0.3),
        [[0.1 * i - 0.3 for i in range(len(a.tokens))] for a in ATTEMPTS],
    )
    objective = policy_gradient(
        surrogate=surrogate, aggregation=aggregation, responses=5, temperature=0.8, chunk=8
    )
    rows = [arrays.PolicyGradientRow(*row) for row in zip(PROMPTS, ATTEMPTS, gains, process)]
    batch = arrays.policy_gradient_batch(rows, SHAPE, pad_id=0)

    def expected(params):
        total = tokens = 0.0
        for prompt, attempt, gain, of_token in zip(PROMPTS, ATTEMPTS, gains, process):
            logs = next_tokens(params, prompt, attempt, 0.8)
            own = [i for i, by_model in enumerate(attempt.trained) if by_model]
            gaps = np.array([logs[i, attempt.tokens[i]] - attempt.logprobs[i] for i in own])
            ratios = np.exp(gaps)
            if surrogate == "gspo":
                ratios = np.full(len(own), np.exp(gaps.mean()))
            tokens += len(own)
            for i, ratio in zip(own, ratios):
                a = gain + np.float32(of_token[i])
                loss = -min(ratio * a, np.clip(ratio, 0.8, 1.28) * a)
                total += loss / (len(own) if aggregation == "sequence_mean" else 1)
        return total / {"token_mean": tokens, "sequence_mean": 5, "constant": 5 * R}[aggregation]

    check(objective, batch._replace(advantages=np.array(gains)), expected)


@pytest.mark.parametrize("variant", [{}, {"aggregation": "sequence_mean"}, {"line_cap": 1.2}])
def test_the_gradient_of_fd(variant):
    """Its teacher reads the tools' tokens too. Lines of the proof, and turns, are steps."""
    group = [(THEOREM, attempt, refused(8), FEEDBACK) for attempt in ATTEMPTS]
    config = DistillationConfig(variants=DistillationVariants(**variant))
    weighted = token_weights(config, [group])
    hints = ([2, 2, 1], [1], [2, 1])
    rows = [
        arrays.DistillationRow(prompt, hint, w.attempt, w.first_error_token, w.weights)
        for prompt, hint, w in zip(PROMPTS, hints, weighted)
    ]
    batch = arrays.distillation_batch(rows, SHAPE, 4, pad_id=0)
    objective = distillation(chunk=8, is_clip=None, **variant)

    def line_weights(params):
        """By line of an attempt: how far the teacher is from the student there."""
        found = []
        for prompt, hint, w in zip(PROMPTS, hints, weighted):
            ids, gaps = w.attempt.tokens, {}
            student, teacher = (
                next_tokens(p, x, w.attempt) for p, x in ((params, prompt), (TEACHER, hint))
            )
            lines = token_lines(w.attempt)
            for i, weight in enumerate(w.weights):
                if weight:
                    gap = abs(student[i, ids[i]] - teacher[i, ids[i]])
                    gaps.setdefault(lines[i], []).append(gap)
            means = {line: np.mean(values) + 1e-6 for line, values in gaps.items()}
            first = next(iter(means.values()))
            found.append([min(first / means[line], 1.2) if line in means else 0 for line in lines])
        return found

    fixed = line_weights(STUDENT) if "line_cap" in variant else None

    def expected(params):
        total = count = 0.0
        for row, (prompt, hint, w) in enumerate(zip(PROMPTS, hints, weighted)):
            logq, logp = (
                next_tokens(params, prompt, w.attempt),
                next_tokens(TEACHER, hint, w.attempt),
            )
            own = [i for i, weight in enumerate(w.weights) if weight]
            assert all(w.attempt.trained[i] for i in own)
            by_row = 1 / len(own) if "aggregation" in variant else 1
            count += 1 if "aggregation" in variant else len(own)
            for i in own:
                weight = w.weights[i] * by_row * (fixed[row][i] if fixed else 1)
                total += weight * (np.exp(logp[i]) * (logp[i] - logq[i])).sum()
        return total / count

    check(objective, batch, expected, jax.tree.map(np.asarray, TEACHER))


def test_the_gradient_of_sft_on_a_mended_attempt():
    """Only the last turn is learned; the failed one and the answer are read."""
    rows, places = [], []
    for prompt, attempt in zip(PROMPTS, ATTEMPTS):
        last = len(attempt.tokens) - len(attempt.segments[-1].tokens)
        learned = [i >= last for i in range(len(attempt.tokens))]
        rows.append(arrays.SupervisedRow(prompt, attempt.tokens, learned))
        places.append([i for i, x in enumerate(learned) if x])
    batch = arrays.supervised_batch(rows, SHAPE, pad_id=0)

    def expected(params):
        logs = [next_tokens(params, p, a) for p, a in zip(PROMPTS, ATTEMPTS)]
        chosen = [log[i, a.tokens[i]] for log, a, own in zip(logs, ATTEMPTS, places) for i in own]
        return -np.mean(chosen)

    check(Supervised(chunk=8), batch, expected)


# --- Lengths and entropy -------------------------------------------------------------------------


def test_lengths_and_entropy_are_of_the_models_tokens():
    group = [(THEOREM, a, Verdict("failed"), None) for a in ATTEMPTS]
    out = outcomes([group])
    assert out.lengths.tolist() == [[10, 12, 5]]
    np.testing.assert_allclose(overlong(out.lengths, 14, 4), [[0, -0.5, 0]])
    pair = (
        dataclasses.replace(ATTEMPTS[0], entropy=1.0),
        dataclasses.replace(ATTEMPTS[2], entropy=4),
    )
    assert policy_entropy(pair) == pytest.approx((10 * 1 + 5 * 4) / 15)
    assert [a.turns for a in ATTEMPTS] == [2, 3, 1]


# --- Where attempts go wrong ---------------------------------------------------------------------


def test_the_first_wrong_token_may_be_in_any_turn():
    """episode(4, 6): four tokens, two of a tool, six of the proof from character 6 on."""
    last = ATTEMPTS[0]
    assert last.offsets == (-6, -5, -4, -3, -2, -1, 6, 7, 8, 9, 10, 11)
    assert [first_token_at(last, p) for p in (0, 6, 8, 11, 99)] == [6, 6, 8, 11, 11]
    # The first turn submitted the proof, and the second said more.
    first = dataclasses.replace(last, offsets=(6, 7, 8, 11, *[11] * 8))
    assert [first_token_at(first, p) for p in (0, 7, 11, 99)] == [0, 1, 3, 3]


@pytest.mark.parametrize(
    "offsets, learned",
    [
        ((-1,) * 6 + (6, 7, 8, 9, 10, 11), ("111100111000", "000000001111")),
        ((6, 7, 8, 11) + (11,) * 8, ("111000000000", "001100111111")),
    ],
)
def test_weights_end_or_begin_at_the_wrong_token(offsets, learned):
    attempt = dataclasses.replace(ATTEMPTS[0], offsets=offsets)
    for tokens, expected in zip(("up_to_error", "from_error"), learned):
        config = DistillationConfig(learn_tokens=tokens)
        [weighted] = token_weights(config, [[(THEOREM, attempt, refused(8), FEEDBACK)]])
        assert "".join(str(int(w > 0)) for w in weighted.weights) == expected


def test_nothing_is_known_to_be_wrong_in_a_text_that_no_token_wrote():
    nowhere = dataclasses.replace(ATTEMPTS[0], offsets=(-1,) * 12)
    assert first_token_at(nowhere, 3) is None
    item = (THEOREM, nowhere, refused(3), FEEDBACK)
    [weighted] = token_weights(DistillationConfig(), [[item]])
    assert weighted.first_error_token is None
    assert weighted.weights == [float(x) for x in nowhere.trained]


def test_lines_are_those_of_the_judged_proof_and_other_turns_are_one_each():
    text = " by\n  a\n  b"
    lines = [text.count("\n", 0, place) for place in (6, 7, 8, 9, 10, 11)]
    assert token_lines(ATTEMPTS[0]) == [0] * 4 + [1] * 2 + [2 + x - lines[0] for x in lines]
    blank = dataclasses.replace(ATTEMPTS[0], candidate=Candidate(""))
    assert token_lines(blank) == [0] * 4 + [1] * 2 + [2] * 6
