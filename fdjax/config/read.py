"""From the dataclasses to the ConfigDict that recipes and flags edit, and back, validated."""

import dataclasses
import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ml_collections import ConfigDict

from fdjax.config.run import Config, EnvironmentConfig, FeedbackConfig, LLMConfig
from fdjax.config.settings import ConfigError, check_limits, convert, field_types
from fdjax.config.stages import (
    STAGES,
    CombinedStage,
    DistillationConfig,
    PolicyGradientConfig,
    StageConfig,
    SupervisedStage,
    distillation_part,
    learns_from_feedback,
    part_field,
    policy_gradient_part,
)
from fdjax.models.config import ModelConfig

ESTIMATOR_ALPHA = {"k1": 1.0, "k2": 1.0, "k3": 0.0}  # whose gradient each has
PROVIDERS = [
    name for name, kind in field_types(FeedbackConfig).items() if dataclasses.is_dataclass(kind)
]

# --- To a ConfigDict -----------------------------------------------------------------------------


def default() -> ConfigDict:
    """The laptop run: a 0.85 M parameter prover, generated theorems, embedded Lean."""
    return as_config_dict(Config())


def builtin(benchmark: str) -> ConfigDict:
    """`default()` on one of the two built-in benchmarks. Raises ConfigError for another name.

    habits: sft learns Lean 3, which Lean 4 refuses, and theorems are fresh at every step.
    pool: 96 theorems that are met again and again.
    """
    config = default()
    match benchmark:
        case "habits":
            config.data.update(train="2048", dialect="lean3")
            config.evaluation.update(train_theorems=64, low_temperature=None)
            for stage in (config.fd, config.grpo):
                stage.update(steps=64, prompts_per_step=32)  # 2,048: none is met twice
                stage.optimizer.learning_rate = 1e-4
            config.expert_iteration.update(
                steps=64, save_every=10, steps_per_round=1, prompts_per_step=32, batch_size=256
            )
            config.expert_iteration.optimizer.learning_rate = 1e-4
        case "pool":
            pass
        case _:
            raise ConfigError(f"benchmark {benchmark!r}: known are habits and pool")
    return config


def repairing(benchmark: str) -> ConfigDict:
    """`builtin` with attempts of up to three turns (a proof, Lean's first error and its goal, a
    corrected proof), and a warm start that learns to read what Lean answers.
    """
    config = builtin(benchmark)
    config.environment.update(name="repair", turns=3, turn_tokens=28, answer_tokens=40)
    config.prompt.response_length = 180  # three turns, two answers with what stands around them
    config.sft.update(feedback_fraction=0.3, dialogue_fraction=0.3)
    config.evaluation.update(heldout_samples=16, train_samples=16)  # of three turns each
    return config


def as_config_dict(config: Any) -> ConfigDict:
    """The fields of a config class, to be edited by recipes and flags."""
    fields: dict[str, Any] = {}
    for name in field_types(type(config)):
        value = getattr(config, name)
        if name == "blocks":
            fields |= {stage: as_config_dict(block) for stage, block in value.items()}
        elif name == "model" and isinstance(config, Config):
            fields[name] = dict.fromkeys(field_types(ModelConfig)) | dict(value)
        elif dataclasses.is_dataclass(value):
            fields[name] = as_config_dict(value)
        else:
            fields[name] = dict(value) if isinstance(value, Mapping) else value
    return ConfigDict(fields)


# --- From a ConfigDict ---------------------------------------------------------------------------


def read(fields: ConfigDict | Mapping[str, Any]) -> Config:
    """The config, validated with all of its stages. Raises ConfigError naming the field."""
    config = parse(fields)
    check_stages(config, config.stages)
    return config


def parse(fields: ConfigDict | Mapping[str, Any]) -> Config:
    """The config; all types are checked, and the limits of what all stages share. Which stages run
    may depend on `init_from`: `check_stages` checks those. Raises ConfigError naming the field.
    """
    fields = fields.to_dict() if isinstance(fields, ConfigDict) else dict(fields)
    known = field_types(Config).keys() - {"blocks"}
    blocks = {name: fields.pop(name) for name in [*fields] if name not in known}
    fields["model"] = {k: v for k, v in (fields.get("model") or {}).items() if v is not None}
    fields["blocks"] = {name: _read_stage(name, block) for name, block in blocks.items()}
    config = _read_fields(Config, fields, "")
    _check_run(config)
    return config


def _read_stage(name: str, fields: Any) -> StageConfig:
    if not isinstance(fields, Mapping):
        raise ConfigError(f"{name}: there is no such field{nearest(name, field_types(Config))}")
    objective = fields.get("objective")
    if objective not in STAGES:
        raise ConfigError(f"{name}.objective is {objective!r}, must be one of {', '.join(STAGES)}")
    return _read_fields(STAGES[objective], fields, f"{name}.")


def _read_fields(kind: type, fields: Mapping[str, Any], prefix: str) -> Any:
    types, values = field_types(kind), {}
    for name in fields:
        if name not in types:
            raise ConfigError(f"{prefix}{name}: there is no such field{nearest(name, types)}")
    for field in dataclasses.fields(kind):
        if field.name not in fields:
            continue
        value, type_ = fields[field.name], types[field.name]
        if dataclasses.is_dataclass(type_):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{field.name} is {value!r}, must hold fields")
            values[field.name] = _read_fields(type_, value, f"{prefix}{field.name}.")
        else:
            values[field.name] = convert(value, type_, prefix + field.name)
    return kind(**values)


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean ...?', or nothing where no known name is near."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


# --- Limits, and fields that must fit each other -------------------------------------------------


def _check_limits(config: Any, prefix: str = "", leave_out: Collection[str] = ()) -> None:
    """Of all fields below `config`, without the named ones."""
    for field in dataclasses.fields(config):
        value, path = getattr(config, field.name), prefix + field.name
        if field.name in leave_out:
            continue
        if dataclasses.is_dataclass(value):
            _check_limits(value, f"{path}.")
        else:
            check_limits(value, field, path)


def _check_run(config: Config) -> None:
    _check_limits(config, leave_out=("blocks", "feedback"))
    if not config.stages or len(set(config.stages)) < len(config.stages):
        raise ConfigError(f"stages is {config.stages}, must name at least one, and each once")
    for name in config.stages:
        if name not in config.blocks:
            raise ConfigError(
                f"stages: the config has no block named {name}{nearest(name, config.blocks)}"
            )
    if [config.mesh.replica, config.mesh.fsdp, config.mesh.tensor].count(None) > 1:
        raise ConfigError("mesh: one axis may be None, the devices that the others leave")
    if config.lean.allow_helpers and not config.lean.replay:
        raise ConfigError(
            "lean.allow_helpers: proofs with helpers must be replayed; set lean.replay, too"
        )
    _check_environment(config)


def _check_environment(config: Config) -> None:
    """Raises ConfigError for fields that are of tools, where there are none, and where no second
    turn fits."""
    e, response = config.environment, config.prompt.response_length
    if e.name is None:
        return
    for field in ("format", "lean_seconds", "tools") if e.name != "tools" else ():
        value, default = getattr(e, field), getattr(EnvironmentConfig(), field)
        if value != default:
            raise ConfigError(
                f"environment.{field} is {value!r}, must be {default} for environment.name="
                f"{e.name}, which has no tools"
            )
    if (e.turn_tokens or 0) > response:
        raise ConfigError(
            f"environment.turn_tokens is {e.turn_tokens}, must be at most prompt.response_length = "
            f"{response}, which holds all turns and answers of an attempt"
        )
    least = (e.turn_tokens or e.min_turn_tokens) + e.answer_tokens + e.min_turn_tokens
    if e.turns > 1 and response < least:
        raise ConfigError(
            f"prompt.response_length is {response}, must be at least {least} for environment.name="
            f"{e.name}: a turn, an answer of answer_tokens={e.answer_tokens} and min_turn_tokens="
            f"{e.min_turn_tokens} of the next turn"
        )


def check_stages(config: Config, names: Iterable[str]) -> None:
    """Raises ConfigError naming a field of these stages, or of the feedback that they use."""
    stages = {name: config.blocks[name] for name in names}
    if any(map(learns_from_feedback, stages.values())):
        _check_limits(config.feedback, "feedback.")
        _check_feedback(config.feedback)
    for name, stage in stages.items():
        _check_limits(stage, f"{name}.")
        _check_stage(name, stage, config.prompt.response_length)
        dialogues = isinstance(stage, SupervisedStage) and stage.dialogue_fraction
        if dialogues and config.environment.name != "repair":
            raise ConfigError(
                f"{name}.dialogue_fraction is {dialogues}, must be 0 unless "
                "environment.name=repair: only that one answers whole proofs"
            )


def _check_feedback(feedback: FeedbackConfig) -> None:
    names = provider_names(feedback)
    for name in names:
        if name not in PROVIDERS:
            raise ConfigError(
                f"feedback.provider is {feedback.provider!r}, must be one of "
                f"{', '.join(PROVIDERS)}, or several with commas{nearest(name, PROVIDERS)}"
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"feedback.provider is {feedback.provider!r}: name each provider once")
    if requests_llm(feedback):
        _check_llm(feedback.llm)


def provider_names(feedback: FeedbackConfig) -> tuple[str, ...]:
    """The names in `feedback.provider`, in order."""
    return tuple(name.strip() for name in feedback.provider.split(","))


def uses_references(feedback: FeedbackConfig) -> bool:
    """Does a provider read reference proofs?"""
    names = provider_names(feedback)
    return "reference" in names or ("llm" in names and feedback.llm.show_reference)


def requests_llm(feedback: FeedbackConfig) -> bool:
    """Does a provider send requests to `feedback.llm`?"""
    proofs = uses_references(feedback) and feedback.reference.max_requests > 0
    return proofs or "llm" in provider_names(feedback)


def _check_llm(llm: LLMConfig) -> None:
    """No value that may be a secret is shown."""
    if not llm.model:
        raise ConfigError("feedback.llm.model is not set: name the model to ask")
    try:
        address = urlsplit(llm.base_url or "https://api")
        _ = address.port
    except ValueError as error:
        raise ConfigError(f"feedback.llm.base_url is no address: {error}") from None
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigError("feedback.llm.base_url must begin with http:// or https://, then a host")
    if address.path.rstrip("/").endswith("/completions"):
        raise ConfigError(
            "feedback.llm.base_url is the part of the address before /chat/completions"
        )
    if address.username or address.password or address.query:
        raise ConfigError(
            "feedback.llm.base_url holds a password or a query; a key belongs into the "
            "environment, under the name in feedback.llm.key_variable"
        )
    if llm.key_variable and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,60}", llm.key_variable):
        raise ConfigError(
            "feedback.llm.key_variable must be the name of an environment variable, in capitals "
            "(OPENAI_API_KEY), or None for a service without keys; never the key itself"
        )
    if reserved := sorted({"model", "messages", "stream", "n"} & set(llm.options)):
        raise ConfigError(f"feedback.llm.options cannot set {reserved[0]}")
    if llm.money_budget is not None and not (llm.price_in or llm.price_out):
        raise ConfigError("feedback.llm.money_budget needs price_in and price_out")


def _check_stage(name: str, stage: StageConfig, response_length: int) -> None:
    if distillation := distillation_part(stage):
        _check_distillation(part_field(name, stage, "distillation"), distillation)
    if policy_gradient := policy_gradient_part(stage):
        if stage.samples_per_prompt < 2:
            raise ConfigError(
                f"{name}.samples_per_prompt is {stage.samples_per_prompt}, must be at least 2: an "
                "attempt is compared with its group"
            )
        field = part_field(name, stage, "policy_gradient")
        _check_policy_gradient(field, policy_gradient, response_length)
    if isinstance(stage, CombinedStage):
        _check_combined(name, stage)
    if isinstance(stage, SupervisedStage) and stage.feedback_fraction + stage.dialogue_fraction > 1:
        raise ConfigError(
            f"{name}.feedback_fraction is {stage.feedback_fraction} and {name}.dialogue_fraction "
            f"{stage.dialogue_fraction}, must be at most 1 together: plain proofs are the rest"
        )
    curriculum = getattr(stage, "curriculum", None)
    if curriculum and not curriculum.min_solve_rate < curriculum.max_solve_rate:
        raise ConfigError(
            f"{name}.curriculum.min_solve_rate is {curriculum.min_solve_rate}, must be below "
            f"max_solve_rate = {curriculum.max_solve_rate}"
        )


def _check_distillation(name: str, fd: DistillationConfig) -> None:
    """Settings of the divergence that contradict each other."""
    variants = fd.variants
    estimator, prefix = variants.estimator, f"{name}.variants"
    if estimator != "full":
        if fd.alpha != ESTIMATOR_ALPHA[estimator]:
            raise ConfigError(
                f"{prefix}.estimator={estimator} has the gradient of alpha="
                f"{ESTIMATOR_ALPHA[estimator]}: {name}.alpha is {fd.alpha}"
            )
        if variants.top_k is not None or variants.entry_clip is not None:
            raise ConfigError(
                f"{prefix}.estimator={estimator} sees one token: top_k and entry_clip must be None"
            )
    if variants.top_k is None and (variants.support != "union" or not variants.tail):
        raise ConfigError(
            f"{prefix}: support={variants.support} and tail={variants.tail} are about the top_k: "
            "set top_k"
        )
    if fd.is_clip is None and variants.ratio_mean == "sequence":
        raise ConfigError(
            f"{prefix}.ratio_mean=sequence is a mean of clipped ratios: set {name}.is_clip"
        )


def _check_policy_gradient(name: str, grpo: PolicyGradientConfig, response_length: int) -> None:
    variants = grpo.variants
    if grpo.reward and variants.turn_discount:
        raise ConfigError(
            f"{name}.variants.turn_discount={variants.turn_discount} is of the verdict's reward: "
            f"{name}.reward={grpo.reward!r} sees attempt.turns itself; set one of them to None"
        )
    if (variants.overlong_buffer or 0) > response_length:
        raise ConfigError(
            f"{name}.variants.overlong_buffer is {variants.overlong_buffer}, must be at most "
            f"prompt.response_length = {response_length}"
        )
    if variants.dual_clip and not variants.dual_clip > 1 + grpo.clip_high:
        raise ConfigError(
            f"{name}.variants.dual_clip is {variants.dual_clip}, must be above 1 + clip_high = "
            f"{1 + grpo.clip_high}"
        )
    if variants.dual_clip and grpo.surrogate == "cispo":
        raise ConfigError(f"{name}.variants.dual_clip: surrogate='cispo' is bounded already")
    if grpo.kl_coefficient and variants.kl == "k1" and variants.mask_truncated:
        raise ConfigError(
            f"{name}.variants: kl='k1' is part of every attempt's reward, and mask_truncated leaves"
            " some attempts out: set kl to 'k2' or 'k3', or mask_truncated to False"
        )


def _check_combined(name: str, stage: CombinedStage) -> None:
    teacher, grpo = stage.distillation.teacher, stage.policy_gradient
    if grpo.kl_coefficient and teacher not in ("frozen", "trust_region"):
        raise ConfigError(
            f"{name}.policy_gradient.kl_coefficient={grpo.kl_coefficient} needs a reference that "
            f"stays as it is: {name}.distillation.teacher is {teacher!r}, must be 'frozen' or "
            "'trust_region'"
        )
    if grpo.variants.max_refills:
        raise ConfigError(
            f"{name}.policy_gradient.variants.max_refills is {grpo.variants.max_refills}, must be "
            "0: both parts learn from the same attempts"
        )
