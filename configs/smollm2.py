"""SmolLM2-135M-Instruct on the benchmark of habits: a language model's chat, and feedback in prose.

    python -m fdjax.main --config=configs/smollm2.py --workdir=runs/smollm2 \\
        --config.init_from=models/smollm2-hf

docs/models.md says how to get the folder. The warm start teaches Lean 3 and to read feedback; then
FD. Meant for one GPU or TPU. Here a few steps of it were run on a CPU, nothing on an accelerator.
"""

from fdjax.config import builtin


def get_config():
    config = builtin("habits")
    config.stages = ("sft", "fd")
    config.model = dict.fromkeys(config.model) | {"dtype": "bfloat16", "remat": True}
    config.prompt.update(
        template="chat",
        student_buckets=(192, 256),
        teacher_buckets=(256, 384),
        response_length=256,
    )
    config.feedback.provider = "oracle"
    config.feedback.oracle.level = "prose"
    config.sft.update(steps=400, batch_size=64)
    config.sft.optimizer.update(learning_rate=1e-4)
    config.fd.optimizer.learning_rate = 1e-5
    return config
