"""Tokenizer, template and shape of the model: of the config, of `init_from`, or of the workdir."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fdjax.config import Config, ConfigError, PromptConfig, naming_field, provider_names
from fdjax.data.splits import learned_proof
from fdjax.models import tokenizer
from fdjax.models.config import ADAPTERS, ARITHMETIC, ModelConfig, from_fields
from fdjax.models.hf.init_from import InitSource
from fdjax.models.tokenizer import Tokenizer
from fdjax.rollout.prompts import Prompts, Template, all_buckets, read_template
from fdjax.runtime.metrics import console
from fdjax.training.manifest import differences
from fdjax.types import Candidate, Theorem


def make_prompts(
    config: Config, workdir: Path, source: InitSource | None, corpus: Sequence[Theorem]
) -> Prompts:
    """How theorems become ids. A tokenizer that is trained here is trained on `corpus`."""
    template = make_template(config.prompt)
    if config.lean.allow_helpers and not template.chat:
        raise ConfigError(
            "lean.allow_helpers: only the answers of chats can hold helpers, and "
            "prompt.template is no chat"
        )
    words = make_tokenizer(config, workdir, source, template, corpus)
    if template.chat and words.chat_eos_id != words.eos_id:
        turn, eos = map(words.token_name, (words.chat_eos_id, words.eos_id))
        console.print(
            f"the chat template ends a turn with {turn}, and eos is {eos}: either ends a sample; "
            f"sft teaches {turn} at the end of answers",
            markup=False,
        )
    return Prompts(
        tokenizer=words,
        template=template,
        student_buckets=config.prompt.student_buckets,
        teacher_buckets=config.prompt.teacher_buckets,
        response_length=config.prompt.response_length,
        allow_helpers=config.lean.allow_helpers,
    )


def make_model_config(config: Config, source: InitSource | None, vocab_size: int) -> ModelConfig:
    """The shape of the model of `init_from`, if it has one, else that of the config's `model`; its
    vocab_size is the tokenizer's unless named."""
    given, shape = dict(config.model), {"vocab_size": vocab_size}
    if source and source.model:
        shape = dataclasses.asdict(source.model)
        for name in ARITHMETIC:  # how a run computes is its own choice
            shape.pop(name)
        with naming_field("model", ValueError, TypeError):
            here = dataclasses.asdict(from_fields({"vocab_size": vocab_size} | given))
        free = ARITHMETIC if source.model.lora_rank else ARITHMETIC + ADAPTERS
        named = given.keys() - free
        if changes := differences(
            {k: shape[k] for k in named}, {k: here[k] for k in named}, "model"
        ):
            raise ConfigError(
                f"init_from={config.init_from} holds another model:\n  "
                + "\n  ".join(changes)
                + "\nSet these fields of `model` to None, as configs/published.py does. Any "
                + "value is possible of "
                + ", ".join(free)
            )
    with naming_field("model", ValueError, TypeError):
        model = from_fields(shape | given)
    if model.lora_rank and not source:
        raise ConfigError(
            f"model.lora_rank={model.lora_rank}: adapters are added to a model that is trained "
            "already; name it in init_from"
        )
    check_length(config, model)
    return model


def check_length(config: Config, model: ModelConfig) -> None:
    """Raises ConfigError if the longest sequence of the config is longer than the model's."""
    with naming_field("prompt", ValueError):
        longest = max(all_buckets(config.prompt))
        model.check_length(
            longest + config.prompt.response_length, "the largest bucket and response_length"
        )
        if "policy" in provider_names(config.feedback):
            model.check_length(
                longest + config.feedback.policy.response_length,
                "the largest bucket and feedback.policy.response_length",
            )


def make_tokenizer(
    config: Config,
    workdir: Path,
    source: InitSource | None,
    template: Template,
    corpus: Sequence[Theorem],
) -> Tokenizer:
    """The one that the workdir began with; a new run takes that of `tokenizer.path` or of
    `init_from`, or trains one on `corpus`.
    """
    if not tokenizer.holds(workdir):
        return _first_tokenizer(config, source, template, corpus)
    with naming_field("tokenizer", ValueError):
        kept = tokenizer.load(workdir)
    if config.tokenizer.path and _read_tokenizer(config, source).model != kept.model:
        raise ConfigError(
            f"tokenizer.path={config.tokenizer.path} is not the tokenizer that {workdir} began "
            "with. Take another --workdir."
        )
    return kept


def _first_tokenizer(
    config: Config, source: InitSource | None, template: Template, corpus: Sequence[Theorem]
) -> Tokenizer:
    if config.tokenizer.path or source:
        return _read_tokenizer(config, source)
    if template.chat:
        raise ConfigError(
            f"prompt.template={config.prompt.template} is a chat: it takes a published model's "
            "tokenizer (tokenizer.path, or init_from)"
        )
    if not corpus:
        raise ConfigError(
            "data.sft holds no theorems to train a tokenizer on; set tokenizer.path or init_from "
            "to take one that is there"
        )
    texts = [template.text(t) + (t.reference or "") for t in corpus]
    if config.data.dialect:
        texts += [learned_proof(config.data, t) for t in corpus]
    words = ["this is right", "begin with", "after use", "a proof is"] * 50
    with naming_field("tokenizer.vocab_size", ValueError):
        return tokenizer.train(texts + words, config.tokenizer.vocab_size)


def _read_tokenizer(config: Config, source: InitSource | None) -> Tokenizer:
    path = config.tokenizer.path
    field = f"tokenizer.path={path}" if path else f"init_from={config.init_from}"
    with naming_field(field, ValueError, OSError):
        return tokenizer.load(path or source.folder)


def make_template(prompt: PromptConfig) -> Template:
    named = f"prompt.template={prompt.template}: " if prompt.template else "prompt."
    template = (
        read_template(prompt.template)
        if prompt.template
        else Template(prompt.student, prompt.teacher, prompt.prefill)
    )
    some = Theorem(id="", name="t", signature=": True")
    for field, fill in (
        ("student", lambda: template.text(some)),
        ("teacher", lambda: template.text(some, "")),
        ("answer", lambda: template.response(some, Candidate(""))),
    ):
        try:
            fill()
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f"{named}{field}={getattr(template, field)!r} is no template ({error}). Its fields "
                "can be {goal} {signature} {name} {context} {informal} {header} {doc}, the "
                "teacher's also {feedback}, the answer's {proof}."
            ) from error
    other = Theorem("", "u", ": False", context="open X", goal="⊢ False", informal="no")
    if template.text(some) == template.text(other):
        raise ConfigError(
            f"{named}student={template.student!r} does not show the theorem; {{goal}} or "
            "{signature} would"
        )
    if template.retry and "{answer}" not in template.retry:
        raise ConfigError(f"{named}retry={template.retry!r} has no place for {{answer}}")
    if prompt.thinking and not template.chat:
        raise ConfigError(f"prompt.thinking={prompt.thinking}, but prompt.template is no chat")
    thinking = None if prompt.thinking is None else prompt.thinking == "on"
    return dataclasses.replace(template, thinking=thinking)
