"""Attempts from prompts: pad, sample on the device, read back. The host side of the sampler."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import jax
import numpy as np

from fdjax.config import ConfigError
from fdjax.models.config import ModelConfig
from fdjax.models.tokenizer import Tokenizer
from fdjax.rollout.prompts import Template, bucket, fingerprint, left_padded, read_attempt
from fdjax.rollout.sampler import sample
from fdjax.runtime import sharding
from fdjax.types import Attempt, Feedback, Theorem


@dataclasses.dataclass(frozen=True)
class Prompting:
    """How theorems become prompts, and ids become attempts."""

    model: ModelConfig
    tokenizer: Tokenizer
    template: Template
    student_buckets: tuple[int, ...]
    teacher_buckets: tuple[int, ...]
    response_length: int
    mesh: jax.sharding.Mesh
    allow_helpers: bool = False  # may an answer state lemmas before the theorem?

    def __post_init__(self):
        if self.tokenizer.vocab_size > self.model.vocab_size:
            raise ConfigError(
                f"tokenizer: it has {self.tokenizer.vocab_size} ids, the model's embedding only "
                f"{self.model.vocab_size} rows (vocab_size). They belong to different models."
            )

    def fitting_prompts(self, theorems: Iterable[Theorem]) -> dict[str, list[int]]:
        """Theorem id -> the student's prompt, of those that are within its budget."""
        longest = max(self.student_buckets)
        prompts = {t.id: self.template.ids(self.tokenizer, t) for t in theorems}
        return {name: ids for name, ids in prompts.items() if len(ids) <= longest}

    def student_prompt(self, theorem: Theorem) -> list[int]:
        """Raises PromptTooLong naming the theorem."""
        ids = self.template.ids(self.tokenizer, theorem)
        bucket(len(ids), self.student_buckets, f"theorem {theorem.id}", "prompt.student_buckets")
        return ids

    def teacher_prompt(self, theorem: Theorem, feedback: Feedback) -> tuple[list[int], int]:
        """The ids, and how many of the last messages had to be dropped to keep the budget.

        Whole messages are dropped, never the theorem. With none left the prompt is the student's.
        """
        longest = max(self.teacher_buckets)
        for kept in range(len(feedback.messages), 0, -1):
            text = "\n".join(feedback.messages[:kept])
            ids = self.template.ids(self.tokenizer, theorem, text)
            if len(ids) <= longest:
                return ids, len(feedback.messages) - kept
        return self.student_prompt(theorem), len(feedback.messages)


def roll_out(
    prompting: Prompting,
    params,
    theorems: Sequence[Theorem],
    prompts: Sequence[Sequence[int]],
    *,
    samples: int,
    temperature: float,
    seed: int,
    stream: str,
    step: int = 0,
    batch: int | None = None,
    names: Sequence[str] | None = None,
) -> Iterator[list[Attempt]]:
    """`samples` attempts for each prompt, `batch` prompts at a time (all at once by default).

    An attempt depends on (seed, stream, step, name, sample index), its prompt and the parameters
    alone, never on what else was in its batch; `names` are the theorems' ids by default. All
    prompts are padded to one bucket. Lazy, so that Lean can check one batch during the next.
    """
    buckets = sorted({*prompting.student_buckets, *prompting.teacher_buckets})
    length = bucket(max(map(len, prompts)), buckets, "the longest prompt", "prompt.*_buckets")
    batch = batch or len(prompts)
    names = names or [t.id for t in theorems]
    for start in range(0, len(prompts), batch):
        some = slice(start, start + batch)
        yield from _roll_out_batch(
            prompting,
            params,
            theorems[some],
            prompts[some],
            names[some],
            batch,
            length,
            samples,
            temperature,
            (seed, fingerprint(stream), step),
        )


def _roll_out_batch(
    prompting, params, theorems, prompts, names, rows, length, samples, temperature, stream
):
    tokenizer = prompting.tokenizer
    # The last batch is filled up with its first prompt: one shape for all.
    fill = rows - len(prompts)
    tokens_BP, mask_BP = left_padded([*prompts, *[prompts[0]] * fill], length, tokenizer.pad_id)
    names_B = np.array([fingerprint(n) for n in names] + [0] * fill, np.uint32)
    tokens_BP, mask_BP, names_B = sharding.put((tokens_BP, mask_BP, names_B), prompting.mesh)
    out = sample(
        prompting.model,
        params,
        tokens_BP,
        mask_BP,
        _keys(*(np.uint32(x) for x in stream), names_B, samples=samples),
        np.float32(temperature),
        np.array(tokenizer.stop_ids, np.int32),
        max_new=prompting.response_length,
    )
    out = sharding.fetch(out)
    lengths_BG = out.response_mask.sum(-1)
    return [
        [
            read_attempt(
                tokenizer,
                prompting.template,
                theorem,
                g,
                out.response_tokens[b, g, : lengths_BG[b, g]].tolist(),
                out.logprobs[b, g, : lengths_BG[b, g]].tolist(),
                bool(out.finished[b, g]),
                float(out.entropy[b, g, : lengths_BG[b, g]].mean()),
                prompting.allow_helpers,
            )
            for g in range(samples)
        ]
        for b, theorem in enumerate(theorems)
    ]


@partial(jax.jit, static_argnames="samples")
def _keys(seed, stream, step, names_B, *, samples: int):
    """-> typed keys [B, G], folded from (seed, stream, step, theorem, sample)."""
    key = jax.random.key(seed)
    for part in (stream, step):
        key = jax.random.fold_in(key, part)
    theorem_keys = jax.vmap(partial(jax.random.fold_in, key))(names_B)
    each = jax.vmap(jax.random.fold_in, (None, 0))
    return jax.vmap(each, (0, None))(theorem_keys, np.arange(samples, dtype=np.uint32))
