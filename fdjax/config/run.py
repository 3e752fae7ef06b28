"""The config of a run: what all of its stages share."""

from collections.abc import Mapping
from typing import Any

from fdjax.config.settings import block, config_class, setting
from fdjax.config.stages import (
    DistillationStage,
    ExpertIterationStage,
    PolicyGradientStage,
    StageConfig,
    SupervisedStage,
)


@config_class
class MeshConfig:
    """The devices. An axis that is None takes all devices that the other two leave."""

    replica: int | None = setting(1, "whole copies of the model, one per slice", at_least=1)
    fsdp: int | None = setting(None, "devices that cut parameters and rows", at_least=1)
    tensor: int | None = setting(1, "devices that cut heads, MLP and vocabulary", at_least=1)
    peak_flops: float | None = setting(
        None,
        "FLOP/s of a device, for the metric mfu; None: its vendor's figure in bf16, if it is known",
        above=0,
    )
    peak_bandwidth: float | None = setting(
        None,
        "bytes/s of a device's memory, for decode_bandwidth; None: its vendor's, if it is known",
        above=0,
    )


@config_class
class TokenizerConfig:
    vocab_size: int = setting(512, "of the tokenizer that the first stage trains", at_least=1)
    path: str | None = setting(
        None, "folder of a published model's tokenizer; None: that of init_from, if it is set"
    )


@config_class
class DataConfig:
    """Theorems of each split: a count (generated), or files: .lean, JSON lines, JSON, CSV, parquet,
    or a folder of them.

    Of files, sft and train lose what they repeat and what validation or test state too.
    """

    sft: str = setting("12000", "theorems with proofs, for supervised learning")
    train: str = setting("96", "theorems that FD, GRPO and expert iteration train on")
    validation: str = setting("200", "theorems to choose settings on")
    test: str = setting("200", "theorems that are only evaluated")
    seed: int = setting(0, "of the generator", at_least=0)
    dialect: str | None = setting(
        None,
        "what the proofs that sft learns are written in: Lean 3's syntax, names of old, or both, "
        "which Lean 4 refuses; None: as they are",
        choices=("lean3", "renamed", "mixed"),
    )
    dialect_share: float = setting(
        0.97, "share of the places concerned that are put into it", at_least=0, at_most=1
    )
    too_long: str = setting(
        "leave_out",
        "what happens to theorems of files whose prompt is over prompt.student_buckets",
        choices=("leave_out", "refuse"),
    )


@config_class
class PromptConfig:
    """Texts with {goal} {signature} {name} {context} {informal} {header} {doc} of the theorem."""

    student: str = setting("{goal}\n:= by\n  ", "what the policy reads")
    teacher: str = setting("{goal}\n{feedback}\n:= by\n  ", "what the teacher reads")
    prefill: str = setting(" by\n  ", "how every proof begins; the model continues it")
    template: str | None = setting(
        None,
        "replaces the three: a name in fdjax/rollout/templates (docs/prompts.md), or a path",
    )
    thinking: str | None = setting(
        None, "enable_thinking of the chat template; None: its default", choices=("on", "off")
    )
    student_buckets: tuple[int, ...] = setting(
        (48,), "lengths in tokens; prompts are padded to the least that holds them", at_least=1
    )
    teacher_buckets: tuple[int, ...] = setting((64,), "the same with feedback", at_least=1)
    response_length: int = setting(28, "tokens that an attempt may have", at_least=1)


@config_class
class LeanInteractConfig:
    """A toolchain of elan through Lean's REPL: docs/lean.md."""

    project: str | None = setting(None, "folder of a Lake project; None: Lean alone")
    lean_version: str | None = setting(None, "of Lean alone, such as v4.35.0; None: the newest")
    repl: str | None = setting(None, "folder of a built REPL; None: it is built on first use")
    readable: str | None = setting(None, "further folders that Lean reads, with `:` between")
    checker: str | None = setting(None, "the program that replays; None: the toolchain's")
    max_heartbeats: int = setting(400_000, "thousands, of one declaration", at_least=1)
    memory_mb: int = setting(8192, "private memory of one REPL", at_least=1)
    spares: int = setting(1, "REPLs kept ready with everything imported", at_least=0)


@config_class
class KiminaConfig:
    url: str = setting("http://localhost:8000", "of a Kimina Lean Server")
    max_heartbeats: int = setting(400_000, "thousands, of one declaration", at_least=1)
    patience: float = setting(300.0, "seconds that the server may be away", at_least=0)
    environment: str | None = setting(None, "names its project where its Lean cannot tell")


@config_class
class LeanConfig:
    backend: str = setting(
        "embedded",
        "which Lean checks: docs/lean.md",
        choices=("embedded", "lean_interact", "kimina"),
    )
    workers: int = setting(2, "Lean processes at a time, per host", at_least=1)
    ray_address: str | None = setting(None, "Ray cluster that runs Lean: HOST:PORT or auto")
    timeout: float = setting(10.0, "seconds of wall time for one candidate", above=0)
    cache: str | None = setting(None, "file that keeps verdicts; None: in memory only")
    replay: bool = setting(
        False, "must the kernel accept once more what an evaluation counts as proved?"
    )
    allow_helpers: bool = setting(
        False, "may answers of chats state lemmas before the theorem? They are replayed"
    )
    lean_interact: LeanInteractConfig = block(LeanInteractConfig, "fields of that backend")
    kimina: KiminaConfig = block(KiminaConfig, "fields of that backend")


# --- Feedback ------------------------------------------------------------------------------------


@config_class
class LeanMessagesConfig:
    level: str = setting(
        "error",
        "verdict: whether Lean accepts; error: also its first error, the line and the goal; hint: "
        "also what to write in place of a dialect's form",
        choices=("verdict", "error", "hint"),
    )


@config_class
class OracleConfig:
    level: str = setting(
        "correction",
        "step: the right next line; prose: the same in a sentence, with what Lean 4 has in place "
        "of a wrong line of Lean 3; correction: the attempt corrected; proof: the shortest known",
        choices=("step", "prose", "correction", "proof"),
    )


@config_class
class LLMConfig:
    """A service that speaks OpenAI's protocol, hosted or local."""

    model: str | None = setting(None, "its name there")
    base_url: str | None = setting(None, "http://localhost:8000/v1; None: OpenAI's own")
    key_variable: str | None = setting(
        "OPENAI_API_KEY", "environment variable that holds the key; None: there is no key"
    )
    prompt: str = setting("feedback.v1", "a file of fdjax/feedback/prompts, or a path")
    options: Mapping[str, Any] = setting(
        {"max_tokens": 600}, "further fields of the request, whatever the service takes"
    )
    show_reference: bool = setting(False, "does it read a reference proof?")
    max_chars: int = setting(2000, "the rest of an answer is cut off", at_least=1)
    concurrency: int = setting(16, "requests at a time", at_least=1)
    requests_per_minute: float | None = setting(None, "at most", above=0)
    tokens_per_minute: float | None = setting(None, "at most, read and written", above=0)
    timeout: float = setting(60.0, "seconds for a request", above=0)
    retries: int = setting(4, "of a request that failed", at_least=0)
    price_in: float = setting(0.0, "money per million tokens read", at_least=0)
    price_out: float = setting(0.0, "money per million tokens written", at_least=0)
    token_budget: int | None = setting(None, "tokens, the cache's included", at_least=1)
    money_budget: float | None = setting(None, "money, the cache's included", above=0)
    cache: str | None = setting(None, "file that keeps answers; None: one in the workdir")


@config_class
class PolicyFeedbackConfig:
    """The policy writes feedback on its own attempts."""

    prompt: str = setting(
        "{goal}\n:={attempt}\n{lean}\n",
        "fields as in prompt, and {attempt}, {lean}: its errors, {turns}: an episode's",
    )
    by_teacher: bool = setting(False, "does the EMA teacher write, where there is one?")
    response_length: int = setting(28, "tokens", at_least=1)
    temperature: float = setting(1.0, "of sampling; 0: greedy", at_least=0)


@config_class
class ReferenceConfig:
    """Proofs of the data that Lean accepts, or else of llm.model."""

    max_requests: int = setting(0, "proofs requested of llm.model for a theorem", at_least=0)
    prompt: str = setting("proof.v1", "a file of fdjax/feedback/prompts, or a path")


@config_class
class PeersConfig:
    """Proofs that the attempt's own group found."""

    successes: int = setting(1, "proofs shown to an attempt", at_least=1)
    order: str = setting(
        "first",
        "nearest: those that begin as the attempt does for longest",
        choices=("first", "nearest"),
    )
    own: str = setting(
        "never",
        "is a proved attempt shown itself? alone: where no peer is proved",
        choices=("never", "alone", "always"),
    )


@config_class
class FeedbackConfig:
    provider: str = setting(
        "oracle",
        "lean_messages, oracle, llm, policy, reference or peers, or several with commas: the first "
        "that has messages (docs/method.md)",
    )
    shuffle: bool = setting(False, "the control: a theorem gets another theorem's feedback")
    successes: bool = setting(False, "do llm and policy comment on proved attempts, too?")
    draws: int = setting(
        1, "feedbacks that llm and policy write; the one most like the others is taken", at_least=1
    )
    leak_limit: float | None = setting(
        None, "drop feedback of llm and policy that shares more with a proof", at_least=0, at_most=1
    )
    lean_messages: LeanMessagesConfig = block(LeanMessagesConfig, "what Lean reports")
    oracle: OracleConfig = block(OracleConfig, "corrections by a search program")
    llm: LLMConfig = block(LLMConfig, "a language model")
    policy: PolicyFeedbackConfig = block(PolicyFeedbackConfig, "the policy itself")
    reference: ReferenceConfig = block(ReferenceConfig, "reference proofs")
    peers: PeersConfig = block(PeersConfig, "other attempts of the group")


@config_class
class GenerationConfig:
    """How attempts are written; no field changes what is written, but for rounding."""

    slots: int = setting(
        256, "attempts written at the same time; rounded up to the rows of the mesh", at_least=1
    )
    memory_gb: float | None = setting(
        None, "GB of each device for keys and values: fewer slots where they need more", above=0
    )
    chunk: int | None = setting(
        None,
        "decoding steps before the host looks which attempts have ended; None: an eighth of "
        "response_length (of turn_tokens in episodes), at least 8 and at most 64",
        at_least=1,
    )
    head_dtype: str = setting(
        "",
        "dtype of the head's weights while sampling; \"\": the model's",
        choices=("", "float32", "bfloat16"),
    )


@config_class
class EnvironmentConfig:
    """Attempts of several turns: the model's, with an environment's answers between them. All are
    tokens of prompt.response_length.
    """

    name: str | None = setting(
        None,
        "repair: each turn is a whole proof, and Lean's first error is the answer; tools: a turn "
        "calls tools; None: an attempt is one answer",
        choices=("repair", "tools"),
    )
    turns: int = setting(3, "of the model, at most", at_least=1)
    turn_tokens: int | None = setting(
        None, "of one turn, at most; None: what prompt.response_length leaves", at_least=1
    )
    min_turn_tokens: int = setting(
        8, "an attempt ends where an answer would leave fewer for the next turn", at_least=1
    )
    answer_tokens: int = setting(48, "that the text of an answer may have", at_least=1)
    lean_seconds: float | None = setting(
        None, "of Lean for the tools of one attempt; None: no bound", above=0
    )
    lag: int = setting(
        1,
        "chunks of decoding between a turn and its answer: generation waits for a Lean that takes "
        "longer, so that nothing depends on the clock",
        at_least=1,
    )
    format: str | None = setting(
        None, "how a chat calls tools; None: as its chat template writes calls"
    )
    tools: tuple[str, ...] = setting(
        ("check", "write", "edit", "read", "search", "submit"), "that a turn may call"
    )


@config_class
class EvaluationConfig:
    train: str = setting("train", "the split of the summary's train figures")
    heldout: str = setting("test", "the split of the summary's heldout figures")
    theorems: int = setting(200, "of each split, the first ones", at_least=1)
    train_theorems: int | None = setting(
        None, "the same of the train split; None: as many", at_least=1
    )
    train_samples: int = setting(64, "attempts per theorem: the largest k of pass@k", at_least=1)
    heldout_samples: int = setting(64, "the same of the heldout split", at_least=1)
    temperature: float = setting(1.0, "of sampling", above=0)
    top_p: float | None = setting(
        None, "only the likeliest tokens that together have this probability", above=0, at_most=1
    )
    min_p: float | None = setting(
        None, "only tokens this likely, relative to the likeliest", above=0, at_most=1
    )
    low_temperature: float | None = setting(
        0.6, "evaluated once more at this one: is a gain only sharpening?", above=0
    )

    @property
    def sets(self) -> dict[str, tuple[str, int, int]]:
        """{name in the summary: (split, theorems, attempts at each)}"""
        return {
            "train": (self.train, self.train_theorems or self.theorems, self.train_samples),
            "heldout": (self.heldout, self.theorems, self.heldout_samples),
        }


@config_class
class Config:
    seed: int = setting(0, "of all random numbers but the generator's", at_least=0, below=2**31)
    stages: tuple[str, ...] = setting(
        ("sft", "fd"), "blocks with an objective, in order; finished ones in the workdir are reused"
    )
    init_from: str | None = setting(
        None,
        "what training begins with: a stage of another run (it replaces the stages up to that "
        "one), a run (its last stage), a checkpoint, or a Hugging Face folder",
    )
    keep_checkpoints: int = setting(2, "the latest ones of each stage", at_least=1)
    mesh: MeshConfig = block(MeshConfig, "devices")
    model: Mapping[str, Any] = setting(
        {}, "fields of fdjax.models.config.ModelConfig; None: as init_from has it, or the default"
    )
    tokenizer: TokenizerConfig = block(TokenizerConfig, "text to ids")
    data: DataConfig = block(DataConfig, "theorems")
    prompt: PromptConfig = block(PromptConfig, "prompts")
    lean: LeanConfig = block(LeanConfig, "verification")
    feedback: FeedbackConfig = block(FeedbackConfig, "who writes feedback")
    generation: GenerationConfig = block(GenerationConfig, "writing attempts on the devices")
    environment: EnvironmentConfig = block(EnvironmentConfig, "attempts of several turns")
    evaluation: EvaluationConfig = block(EvaluationConfig, "after each stage")
    blocks: Mapping[str, StageConfig] = setting(
        {
            "sft": SupervisedStage(),
            "fd": DistillationStage(),
            "grpo": PolicyGradientStage(),
            "expert_iteration": ExpertIterationStage(),
        },
        "the stages by name",
    )
