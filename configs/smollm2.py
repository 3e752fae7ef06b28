"""SmolLM2-135M-Instruct on the benchmark of habits: a language model's chat, and feedback in prose.

    python -m fdjax.main --config=configs/smollm2.py --workdir=runs/smollm2 \\
        --config.init_from=models/smollm2-hf

docs/models.md says how to get the folder. The warm start teaches proofs in Lean 3 and to read
feedback; then FD. Meant for one GPU or TPU: here only a few steps were run, on a CPU
(tests/test_smollm2.py). The numbers are where one would begin.
"""

from fdjax.config import builtin


def get_config():
    config = builtin("habits")
    config.stages = ("sft", "fd")
    config.model = dict.fromkeys(config.model) | {"dtype": "bfloat16", "remat": True}
    config.prompt.update(
        template="chat",
        student_buckets=(128, 192),
        teacher_buckets=(192, 256),
        response_length=128,
    )
    config.feedback.provider = "oracle"
    config.feedback.oracle.level = "prose"
    config.sft.update(steps=400, batch_size=64)
    config.sft.optimizer.update(learning_rate=1e-4)
    config.fd.optimizer.learning_rate = 1e-5
    return config
