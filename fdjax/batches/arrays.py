"""Batches as host arrays: a row for each attempt. microbatches.py cuts them for the device."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fdjax.batches.token_weights import token_lines
from fdjax.objectives.distillation import DistillationBatch
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.objectives.supervised import SupervisedBatch
from fdjax.rollout.prompts import left_padded
from fdjax.types import Attempt


class Shape(NamedTuple):
    """What a batch is padded to: rows N and, in tokens, prompt P and response R."""

    rows: int
    prompt: int
    response: int


class DistillationRow(NamedTuple):
    student_prompt: list[int]
    teacher_prompt: list[int]
    attempt: Attempt
    first_error_token: int | None  # index in the response; None: no token is known to be wrong
    weights: Sequence[float]  # per token of the response


class PolicyGradientRow(NamedTuple):
    prompt: list[int]
    attempt: Attempt
    advantage: float
    process: Sequence[float] | None = None  # per token of the response, added to the advantage


class SupervisedRow(NamedTuple):
    prompt: Sequence[int]
    response: Sequence[int]
    learned: Sequence[bool] | None = None  # per token of the response; None: all of them


def distillation_batch(
    rows: Sequence[DistillationRow], shape: Shape, teacher_prompt: int, pad_id: int
) -> DistillationBatch:
    """`shape` is the student's; the teacher's prompts are padded to Q = `teacher_prompt`."""
    attempts = [r.attempt for r in rows]
    responses = [a.tokens for a in attempts]
    student_tokens, student_attention_mask = _tokens(
        [r.student_prompt for r in rows], responses, shape, pad_id
    )
    teacher_shape = shape._replace(prompt=teacher_prompt)
    teacher_tokens, teacher_attention_mask = _tokens(
        [r.teacher_prompt for r in rows], responses, teacher_shape, pad_id
    )
    first_error_token_N = np.full(shape.rows, shape.response, np.int32)
    for i, row in enumerate(rows):
        if row.first_error_token is not None:
            first_error_token_N[i] = row.first_error_token
    return DistillationBatch(
        student_tokens=student_tokens,
        student_attention_mask=student_attention_mask,
        teacher_tokens=teacher_tokens,
        teacher_attention_mask=teacher_attention_mask,
        response_mask=_columns([a.trained for a in attempts], shape, bool),
        weights=_columns([r.weights for r in rows], shape, np.float32),
        generator_logprobs=_columns([a.logprobs for a in attempts], shape, np.float32),
        first_error_token=first_error_token_N,
        lines=_columns([token_lines(a) for a in attempts], shape, np.int32),
    )


def policy_gradient_batch(
    rows: Sequence[PolicyGradientRow], shape: Shape, pad_id: int
) -> PolicyGradientBatch:
    """`old_logprobs` are the generator's, which is exact enough for one update per batch. All rows
    have process rewards, or none has."""
    attempts = [r.attempt for r in rows]
    tokens, mask = _tokens([r.prompt for r in rows], [a.tokens for a in attempts], shape, pad_id)
    logprobs = _columns([a.logprobs for a in attempts], shape, np.float32)
    advantages_N = np.zeros(shape.rows, np.float32)
    advantages_N[: len(rows)] = [r.advantage for r in rows]
    process = [r.process for r in rows if r.process is not None]
    return PolicyGradientBatch(
        student_tokens=tokens,
        student_attention_mask=mask,
        loss_mask=_columns([a.trained for a in attempts], shape, bool),
        generator_logprobs=logprobs,
        old_logprobs=logprobs,
        advantages=advantages_N,
        process_advantages=_columns(process, shape, np.float32) if process else None,
    )


def supervised_batch(rows: Sequence[SupervisedRow], shape: Shape, pad_id: int) -> SupervisedBatch:
    """All columns but the first are the response's: the rest of a prompt stands there with weight
    0. So a row has padding at its end alone, and its length says which microbatch it suits.
    """
    first, rest, weights = [], [], []
    for prompt, response, learned in rows:
        first.append(prompt[:1])
        rest.append([*prompt[1:], *response])
        learned = [True] * len(response) if learned is None else learned
        weights.append([0] * len(prompt[1:]) + [*learned])
    columns = Shape(shape.rows, 1, shape.prompt - 1 + shape.response)
    tokens, mask = _tokens(first, rest, columns, pad_id)
    return SupervisedBatch(tokens, mask, weights=_columns(weights, columns, np.float32))


def minibatches(batch: Any, count: int) -> list[Any]:
    """`count` batches; batch k holds the rows k, k + count, ..., so that padding spreads evenly."""
    return [jax.tree.map(lambda x, start=start: x[start::count], batch) for start in range(count)]


def _tokens(prompts, responses, shape: Shape, pad_id: int):
    """(tokens i32[N, P+R], rows of [pad, prompt, response, pad]; attention mask bool[N, P+R])"""
    empty = [[]] * (shape.rows - len(prompts))
    tokens_NP, mask_NP = left_padded([*prompts, *empty], shape.prompt, pad_id)
    mask_NR = _columns([[True] * len(ids) for ids in responses], shape, bool)
    tokens_NR = np.where(mask_NR, _columns(responses, shape, np.int32), np.int32(pad_id))
    return np.hstack([tokens_NP, tokens_NR]), np.hstack([mask_NP, mask_NR])


def _columns(values, shape: Shape, dtype) -> np.ndarray:
    """[N, R] of `dtype` with `values` at the left of each row, 0 elsewhere."""
    out_NR = np.zeros((shape.rows, shape.response), dtype)
    for i, row in enumerate(values):
        out_NR[i, : len(row)] = row
    return out_NR
