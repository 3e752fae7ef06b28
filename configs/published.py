"""Feedback Distillation of a published prover, and how its settings differ from the small run's.

    python -m fdjax.main --config=configs/published.py --workdir=runs/goedel \\
        --config.init_from=models/Goedel-Prover-V2-8B \\
        --config.data.train=train.jsonl --config.data.validation=minif2f_valid.jsonl \\
        --config.data.test=minif2f_test.jsonl --config.lean.lean_interact.project=prover

GRPO has the same sizes: `--config.stages="('grpo',)"`.

On slices of TPUs: `--config=configs/published.py:NAME`, with sizes that fit by TPU's compiler
(`fdjax plan`, docs/pods.md):

    v5e-16  an 8B, 4x4    v6e-16  an 8B, 4x4    v5p-64  a 32B, 4x4x4    v5e-64  a 12B, 8x8

docs/start_my_prover.md walks through it, docs/models.md says what of it has not been run. The
numbers below are where one would begin, not what was found best.
"""

from fdjax.config import ConfigError, default


def get_config(devices: str = ""):
    config = default()
    config.stages = ("fd",)
    # The shape is the folder's: nothing but how it is computed, and what of it is trained.
    config.model.update(dtype="bfloat16", remat=True)
    config.prompt.update(
        template="goedel_prover_v2",  # deepseek_prover_v2 and kimina_prover are there too
        student_buckets=(512, 1024, 2048),
        teacher_buckets=(1024, 2048, 4096),
        response_length=6144,
    )
    config.data.sft = "0"
    config.lean.update(backend="lean_interact", workers=32, timeout=120.0)
    config.feedback.provider = "lean_messages"  # configs/fd_llm.py has a model's feedback
    for stage in (config.fd, config.grpo):
        stage.update(prompts_per_step=64, samples_per_prompt=8, pipeline_depth=1, save_every=10)
        stage.optimizer.update(learning_rate=1e-6, microbatch_tokens=20_480, moments="bfloat16")
    config.evaluation.update(theorems=244, train_samples=8, heldout_samples=8)
    place_on(config, devices)
    return config


def place_on(config, devices):
    """A mesh, microbatches that fit beside the state, and keys and values beside the weights for
    decoding.
    """
    sizes, tokens = config.generation, config.fd.optimizer.microbatch_tokens
    match devices:
        case "":
            sizes.memory_gb = 40.0  # of an 8B on 8 GPUs of 80 GB
        case "v5e-16":  # Qwen3-8B
            # tensor=4: the head, gathered over fsdp once a microbatch, is cut over tensor alone.
            config.mesh.update(fsdp=4, tensor=4)
            tokens = 10_240
            sizes.update(slots=128, memory_gb=7.0)
        case "v6e-16":  # Qwen3-8B
            config.mesh.update(fsdp=4, tensor=4)
            sizes.update(slots=256, memory_gb=20.0)
        case "v5p-64":  # Qwen3-32B
            config.mesh.update(fsdp=16, tensor=4)
            sizes.update(slots=512, memory_gb=60.0)
        case "v5e-64":  # Gemma-3-12B
            config.mesh.update(fsdp=16, tensor=4)
            tokens = 10_240
            sizes.update(slots=512, memory_gb=7.0)
        case _:
            raise ConfigError(
                f"--config=configs/published.py:{devices}: known are v5e-16, v6e-16, v5p-64, v5e-64"
            )
    for stage in (config.fd, config.grpo):
        stage.optimizer.microbatch_tokens = tokens
