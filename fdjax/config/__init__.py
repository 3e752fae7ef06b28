"""Every field of a run's config: its default, its meaning, its limits, each in one place.

run.py and stages.py declare the fields, settings.py says how, read.py turns them into the
ConfigDict that recipes and flags edit and back into a validated `Config`, describe.py prints them.
What is None is off.
"""

from fdjax.config.read import (
    as_config_dict,
    builtin,
    check_stages,
    default,
    nearest,
    parse,
    provider_names,
    read,
    repairing,
    requests_llm,
    uses_references,
)
from fdjax.config.run import (
    Config,
    DataConfig,
    EnvironmentConfig,
    EvaluationConfig,
    FeedbackConfig,
    GenerationConfig,
    KiminaConfig,
    LeanConfig,
    LeanInteractConfig,
    LeanMessagesConfig,
    LLMConfig,
    MeshConfig,
    OracleConfig,
    PeersConfig,
    PolicyFeedbackConfig,
    PromptConfig,
    ReferenceConfig,
)
from fdjax.config.settings import ConfigError, naming_field
from fdjax.config.stages import (
    CombinedStage,
    CurriculumConfig,
    DistillationConfig,
    DistillationStage,
    DistillationVariants,
    ExpertIterationStage,
    LossWeights,
    OptimizerConfig,
    PolicyGradientConfig,
    PolicyGradientStage,
    PolicyGradientVariants,
    RolloutStage,
    StageConfig,
    SupervisedStage,
    distillation_part,
    learns_from_feedback,
    part_field,
    policy_gradient_part,
)
