"""Whole runs with feedback of language models: they survive errors, resume, and hide the key."""

import collections
import json
import shutil
import zlib

import jax
import numpy as np
import openai_server
import orbax.checkpoint as ocp
import pytest
import tiny_config
from openai_server import KEY, Reply, says, serving
from runs import assert_documented

from fdjax.rollout.journal import Journal
from fdjax.runtime.files import read_lines
from fdjax.training import experiment


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    openai_server.use(monkeypatch)


def config_of(url, **changes):
    """FD after a warm start in which the policy learns little but to end its answers."""
    config = tiny_config.get_config()
    config.stages = ("sft", "fd")
    config.sft.update(steps=30, save_every=30, feedback_fraction=0.0)
    config.sft.optimizer.warmup = 2
    config.prompt.update(student_buckets=(112,), teacher_buckets=(112,))
    config.mesh.fsdp = 1
    config.fd.update(steps=3, save_every=1, samples_per_prompt=2)
    config.evaluation.update(theorems=2, train_samples=2, heldout_samples=2)
    config.feedback.llm.update(base_url=url, model="m", retries=1, timeout=5.0)
    config.feedback.update_from_flattened_dict(changes)
    return config


class Unreliable:
    """A service whose answer depends on the question alone, and on whether it is the first time."""

    def __init__(self):
        self.requested = collections.Counter()
        self.answered = collections.Counter()

    def __call__(self, number, body):
        question = body["messages"][1]["content"]
        if "theorem swap" in question:  # the run's first question, which is to find it well
            return says("the hypothesis has the parts in the other order")
        kind, before = zlib.crc32(question.encode()) % 5, self.requested[question]
        self.requested[question] += 1
        if kind == 0:
            return Reply(json.dumps({"error": f"not with {KEY}"}).encode(), status=400)
        if kind == 1:
            return says("x" * 2_000_000)
        if kind == 2 and not before:
            return Reply(b"nonsense")
        if kind == 3 and not before:
            return Reply(f"bad key {KEY}".encode(), status=500)
        self.answered[question] += 1
        return says(f"use exact\nand the key is {KEY}")


def feedback_of(workdir):
    records = [Journal(workdir / "fd" / "rollouts").read(step)["feedback"] for step in range(3)]
    return [feedback for groups in records for group in groups for feedback in group]


def params_of(workdir):
    last = max((workdir / "fd" / "checkpoints").iterdir(), key=lambda f: int(f.name))
    return jax.tree.leaves(ocp.StandardCheckpointer().restore(last / "params"))


def test_a_run_with_a_bad_service_goes_on_and_keeps_the_secret(tmp_path, capfd):
    """What the service does not answer the policy writes, or else the oracle."""
    with serving(Unreliable()) as served:
        experiment.run_experiment(config_of(served.url, provider="llm,policy,oracle"), tmp_path)
    feedbacks = feedback_of(tmp_path)
    assert {f.provider for f in feedbacks} == {"llm: m", "policy", "oracle: correction"}
    lines = read_lines(tmp_path / "fd" / "metrics.jsonl")
    assert sum(line["feedback/requests"] for line in lines) == sum(f.requests for f in feedbacks)
    assert any(line["feedback/failed_share"] > 0 for line in lines)
    for problem in ("bad answer", "server error", "too long", "refused 400"):
        assert any(line.get(f"feedback/llm: {problem}") for line in lines), problem
    assert (
        sum(line["cost/feedback_tokens"] for line in lines) == sum(f.tokens for f in feedbacks) > 0
    )

    assert_documented(tmp_path)
    printed = "".join(capfd.readouterr())
    assert "fd 3/3" in printed and "feedback/failed_share" in printed and KEY not in printed
    written = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert len(written) > 20
    assert not [f for f in written if KEY.encode() in f.read_bytes()]


@pytest.mark.slow
def test_a_resumed_run_requests_only_missing_feedback_and_ends_the_same(tmp_path):
    """As if killed when the second step's attempts were known, and not yet the feedback."""
    first, again = tmp_path / "first", tmp_path / "again"
    fields = {"provider": "llm,policy,oracle"}
    with serving(Unreliable()) as served:
        experiment.run_experiment(config_of(served.url, **fields), first)
        shutil.copytree(first, again)
        journal = again / "fd" / "rollouts"
        entries = (journal / "000001.jsonl").read_text().splitlines(keepends=True)
        kept = [entry for entry in entries if '{"kind": "feedback"' not in entry]
        assert len(kept) == len(entries) - 1
        (journal / "000001.jsonl").write_text("".join(kept))
        (journal / "000002.jsonl").unlink()
        for step in ("2", "3"):
            shutil.rmtree(again / "fd" / "checkpoints" / step)
        experiment.run_experiment(config_of(served.url, **fields), again)
        assert set(served.answer.answered.values()) == {1}  # paid for once
    assert [(f.text, f.provider, f.first_error) for f in feedback_of(again)] == [
        (f.text, f.provider, f.first_error) for f in feedback_of(first)
    ]
    for one, other in zip(params_of(first), params_of(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_without_a_service_the_fallback_writes_feedback(tmp_path, capfd):
    """In the thread that waits for Lean."""
    with serving(lambda *_: Reply(b"", status=503)) as served:
        experiment.run_experiment(config_of(served.url, provider="llm,oracle"), tmp_path)
        count = len(served.requests)
    feedbacks = feedback_of(tmp_path)
    assert {f.provider for f in feedbacks} == {"oracle: correction"}
    lines = read_lines(tmp_path / "fd" / "metrics.jsonl")
    assert {line["feedback/failed_share"] for line in lines} == {1.0}
    assert count < sum(f.requests for f in feedbacks)  # after one failure a step sends no more
    # At the start, before the stage (the teacher's solve rate), and in it.
    assert capfd.readouterr().out.count("feedback.llm: no answers (server error)") == 3
