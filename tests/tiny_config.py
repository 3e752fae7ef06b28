"""A whole run in seconds: every stage, a model that learns nothing much. For the tests."""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd", "grpo")
    config.data.update(sft="150", train="6", validation="4", test="4")
    config.tokenizer.vocab_size = 400
    config.model.update(
        width=32, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=16, mlp_width=64
    )
    config.prompt.update(student_buckets=(64,), teacher_buckets=(112,), response_length=24)
    config.sft.update(steps=30, save_every=10, batch_size=32, feedback_start=15, prompts_per_step=8)
    config.sft.optimizer.learning_rate = 1e-2
    for stage in ("fd", "grpo"):
        config[stage].update(
            steps=6,
            save_every=2,
            prompts_per_step=4,
            samples_per_prompt=4,
            pipeline_depth=1,
        )
    config.expert_iteration.update(
        steps=6,
        save_every=2,
        steps_per_round=3,
        prompts_per_step=6,
        samples_per_prompt=4,
        batch_size=8,
    )
    config.grpo.curriculum.update(window=1, keep_probability=0.25)
    config.evaluation.update(train_samples=4, heldout_samples=4)
    return config


def change(config, path, value):
    """Sets the field at `path`, "fd.optimizer.warmup", to any value; `config` itself is changed."""
    *blocks, field = path.split(".")
    for name in blocks:
        config = config[name]
    with config.unlocked(), config.ignore_type():
        config[field] = value
