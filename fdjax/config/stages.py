"""The config of a stage: the fields of its own objective, and no others."""

from fdjax.config.settings import block, config_class, setting


@config_class
class OptimizerConfig:
    """AdamW; linear warm-up, then constant, then linear decay to 0 over the last part."""

    learning_rate: float = setting(3e-4, "after the warm-up", at_least=0)
    warmup: int = setting(5, "steps", at_least=0)
    decay_fraction: float = setting(0.6, "share of the steps that decay", at_least=0, at_most=1)
    weight_decay: float = setting(0.0, "of matrices, not of norms and biases", at_least=0)
    clip_norm: float | None = setting(1.0, "bound on the gradient's norm", above=0)
    moments: str = setting("float32", "dtype of Adam's moments", choices=("float32", "bfloat16"))
    microbatch_tokens: int = setting(
        32_768,
        "tokens, padding included, of a microbatch on each of replica * fsdp devices; or a row",
        at_least=1,
    )


@config_class
class CurriculumConfig:
    """Passes over theorems that the policy always or never proves."""

    window: int | None = setting(
        None,
        "steps with a theorem that its solve rate is taken from; None: all are taken",
        at_least=1,
    )
    min_solve_rate: float = setting(0.0, "passed over at this solve rate or below")
    max_solve_rate: float = setting(1.0, "passed over at this solve rate or above")
    keep_probability: float = setting(
        0.1, "chance that such a theorem is taken all the same", at_least=0, at_most=1
    )


@config_class
class StageConfig:
    """Fields of every stage."""

    objective: str
    theorems: str = setting("train", "the split that it trains on")
    steps: int = setting(100, "training steps, one batch each", at_least=1)
    show_every: int = setting(1, "steps to a line on the console", at_least=1)
    save_every: int = setting(10, "steps to a checkpoint", at_least=1)
    prompts_per_step: int = setting(16, "theorems attempted in a step", at_least=1)
    samples_per_prompt: int = setting(8, "attempts at a theorem", at_least=1)
    temperature: float = setting(1.0, "of sampling, and of the distributions compared", above=0)
    optimizer: OptimizerConfig = block(OptimizerConfig, "AdamW")


@config_class
class SupervisedStage(StageConfig):
    """Reference proofs; from step feedback_start on also answers to feedback, and dialogues."""

    objective: str = setting("supervised", "", choices=("supervised",))
    theorems: str = setting("sft", "the split that it trains on")
    steps: int = setting(800, "updates", at_least=1)
    show_every: int = setting(25, "steps to a line on the console", at_least=1)
    save_every: int = setting(100, "steps to a checkpoint", at_least=1)
    batch_size: int = setting(128, "rows", at_least=1)
    feedback_start: int = setting(
        300, "the step whose policy's failed attempts get feedback", at_least=0
    )
    feedback_fraction: float = setting(
        0.6,
        "share of rows that answer feedback with the proof that it leads to",
        at_least=0,
        at_most=1,
    )
    dialogue_fraction: float = setting(
        0.0,
        "share of rows in which a failed attempt and Lean's answer to it are read, and the "
        "corrected attempt is learned: for environment.name=repair",
        at_least=0,
        at_most=1,
    )
    prompts_per_step: int = setting(6000, "theorems attempted at feedback_start", at_least=1)
    samples_per_prompt: int = setting(2, "attempts at a theorem", at_least=1)
    optimizer: OptimizerConfig = block(OptimizerConfig, "AdamW", learning_rate=2e-3, warmup=50)


@config_class
class ExpertIterationStage(StageConfig):
    """Supervised learning on the policy's own verified proofs, or on corrections, in rounds."""

    objective: str = setting("expert_iteration", "", choices=("expert_iteration",))
    steps: int = setting(96, "updates", at_least=1)
    save_every: int = setting(12, "steps to a checkpoint", at_least=1)
    steps_per_round: int = setting(6, "a round attempts theorems at its first step", at_least=1)
    prompts_per_step: int = setting(96, "theorems attempted in a round", at_least=1)
    batch_size: int = setting(64, "rows", at_least=1)
    proofs_per_theorem: int = setting(4, "distinct ones, those first found last", at_least=1)
    corrections: bool = setting(
        False, "learn the proofs that feedback on its attempts leads to, in place of its own"
    )
    replay: bool = setting(True, "learn the proofs of all rounds so far, not of the latest alone")
    curriculum: CurriculumConfig = block(CurriculumConfig, "which theorems; by rounds")


@config_class
class RolloutStage(StageConfig):
    """Fields of the stages that learn from each step's attempts."""

    pipeline_depth: int = setting(
        0, "steps whose attempts are generated ahead of the update", at_least=0
    )
    curriculum: CurriculumConfig = block(CurriculumConfig, "which theorems")
    minibatches: int = setting(
        1, "updates per epoch; update i learns from the rows i, i + minibatches, ...", at_least=1
    )
    epochs: int = setting(1, "times that a batch is learned from", at_least=1)


@config_class
class DistillationVariants:
    """What published methods do otherwise. Formulas and sources: docs/method.md."""

    estimator: str = setting(
        "full", "the whole vocabulary, or the sampled token", choices=("full", "k1", "k2", "k3")
    )
    top_k: int | None = setting(None, "tokens in the support; None: the vocabulary", at_least=1)
    support: str = setting("union", "whose top_k", choices=("union", "student", "teacher"))
    tail: bool = setting(True, "one bucket for all outside the support; False: renormalise")
    entry_clip: float | None = setting(None, "the most that a vocabulary entry adds", above=0)
    token_clip: float | None = setting(None, "the most of a token", above=0)
    ratio_mean: str = setting(
        "token",
        "the importance weight of each token, or of its response",
        choices=("token", "sequence"),
    )
    aggregation: str = setting(
        "token_mean",
        "over the batch, or mean over responses",
        choices=("token_mean", "sequence_mean"),
    )
    line_cap: float | None = setting(
        None, "lines far from the teacher weigh less, the others up to this", at_least=1
    )
    solved_below: float | None = setting(None, "only groups that are proved less often", above=0)
    skip_tokens: int = setting(0, "first tokens of a response that are not learned", at_least=0)
    group_weights: str = setting(
        "equal", "spread: sqrt(p(1-p)) of the group's solve rate p", choices=("equal", "spread")
    )
    ema_per: str = setting("update", "how often the EMA moves", choices=("update", "batch"))
    trust_rate: float = setting(
        0.05, "the student's share of a trust_region teacher's logits", at_least=0, below=1
    )


@config_class
class DistillationConfig:
    """Feedback Distillation."""

    alpha: float = setting(
        0.0,
        "0: forward KL(p|q), 1: reverse KL(q|p), between: Jensen-Shannon",
        at_least=0,
        at_most=1,
    )
    is_clip: float | None = setting(
        2.0, "c of the importance weight min(q / q_generator, c)", above=0
    )
    distill_attempts: str = setting("all", "which attempts", choices=("all", "failed"))
    success_weight: float = setting(
        0.3, "weight of a proved attempt's tokens; a failed one's have 1", at_least=0, at_most=1
    )
    learn_tokens: str = setting(
        "up_to_error",
        "up to the first wrong token, from there on, or all",
        choices=("up_to_error", "from_error", "all"),
    )
    teacher: str = setting(
        "ema",
        "average of the student, the start, the student itself, or the start mixed with it",
        choices=("ema", "frozen", "live", "trust_region"),
    )
    teacher_dtype: str = setting(
        "float32",
        "of its parameters; an average in bfloat16 is stochastically rounded",
        choices=("float32", "bfloat16"),
    )
    ema_rate: float = setting(0.005, "teacher += rate * (student - teacher)", at_least=0, at_most=1)
    min_gap: float = setting(0.02, "warn if feedback raises the teacher's solve rate by less")
    variants: DistillationVariants = block(DistillationVariants, "for published methods")


@config_class
class PolicyGradientVariants:
    """What published methods do otherwise. Formulas and sources: docs/method.md."""

    dual_clip: float | None = setting(None, "bound c on a negative advantage's loss", above=1)
    kl: str = setting(
        "k3", "estimate: k1 (off the rewards), k2, k3 (in the loss)", choices=("k1", "k2", "k3")
    )
    overlong_buffer: int | None = setting(
        None, "last tokens of the budget, over which a penalty grows from 0", at_least=1
    )
    overlong_penalty: float = setting(1.0, "at the end of the budget", at_least=0)
    mask_truncated: bool = setting(False, "learn nothing from attempts that the budget cut off")
    turn_discount: float | None = setting(
        None, "multiplies a proof's reward for each turn after the first", above=0, at_most=1
    )
    process_reward: float | None = setting(
        None, "c of the advantage of steps that stand before Lean's first error", above=0
    )
    process_credit: str = setting(
        "first", "a step's first token, or all of its tokens, gets it", choices=("first", "all")
    )
    max_refills: int = setting(
        0, "further rollouts that replace zero-variance groups of a step", at_least=0
    )


@config_class
class PolicyGradientConfig:
    """GRPO."""

    surrogate: str = setting(
        "ppo",
        "clipped ratio of a token, of a response (gspo), or clipped weight (cispo)",
        choices=("ppo", "gspo", "cispo"),
    )
    clip_low: float = setting(0.2, "ratios below 1 - this are clipped", at_least=0)
    clip_high: float = setting(0.28, "ratios above 1 + this are clipped", at_least=0)
    normalize_std: bool = setting(False, "divide advantages by the group's deviation")
    aggregation: str = setting(
        "token_mean",
        "over the batch, mean over responses, or a constant",
        choices=("token_mean", "sequence_mean", "constant"),
    )
    is_clip: float | None = setting(
        None, "c of the importance weight min(q_old / q_generator, c)", above=0
    )
    kl_coefficient: float | None = setting(
        None, "of the KL to the policy that the stage began with", above=0
    )
    reward: str | None = setting(
        None,
        "a function (theorem, attempt, verdict) -> float in place of the verdict's 1 or 0: "
        "package.module:function",
    )
    variants: PolicyGradientVariants = block(PolicyGradientVariants, "for published methods")


@config_class
class DistillationStage(DistillationConfig, RolloutStage):
    """Feedback Distillation."""

    objective: str = setting("distillation", "", choices=("distillation",))


@config_class
class PolicyGradientStage(PolicyGradientConfig, RolloutStage):
    """GRPO."""

    objective: str = setting("policy_gradient", "", choices=("policy_gradient",))


@config_class
class LossWeights:
    distillation: float = setting(1.0, "of FD's loss", above=0)
    policy_gradient: float = setting(1.0, "of GRPO's loss", above=0)


@config_class
class CombinedStage(RolloutStage):
    """FD and GRPO on the same attempts: a weighted sum of their losses, or in turns."""

    objective: str = setting("combined", "", choices=("combined",))
    loss_weights: LossWeights = block(LossWeights, "of the sum")
    turns: tuple[str, ...] = setting(
        (),
        "step i uses turns[i mod n]; (): both parts at every step",
        choices=("distillation", "policy_gradient"),
    )
    distillation: DistillationConfig = block(DistillationConfig, "FD's fields, as above")
    policy_gradient: PolicyGradientConfig = block(PolicyGradientConfig, "GRPO's fields, as above")


STAGES: dict[str, type[StageConfig]] = {
    "supervised": SupervisedStage,
    "distillation": DistillationStage,
    "policy_gradient": PolicyGradientStage,
    "combined": CombinedStage,
    "expert_iteration": ExpertIterationStage,
}


def learns_from_feedback(stage: StageConfig) -> bool:
    """Is feedback requested on the stage's attempts?"""
    if isinstance(stage, ExpertIterationStage):
        return stage.corrections
    if isinstance(stage, SupervisedStage):
        return bool(stage.feedback_fraction or stage.dialogue_fraction)
    return distillation_part(stage) is not None


def part_field(name: str, stage: StageConfig, part: str) -> str:
    """Where the fields of a part of the stage `name` stand: NAME.PART of a combined stage."""
    return f"{name}.{part}" if isinstance(stage, CombinedStage) else name


def distillation_part(stage: StageConfig) -> DistillationConfig | None:
    """The FD part of the stage; None where it does not distil."""
    if isinstance(stage, CombinedStage):
        return stage.distillation
    return stage if isinstance(stage, DistillationConfig) else None


def policy_gradient_part(stage: StageConfig) -> PolicyGradientConfig | None:
    """The GRPO part of the stage; None where it has none."""
    if isinstance(stage, CombinedStage):
        return stage.policy_gradient
    return stage if isinstance(stage, PolicyGradientConfig) else None
