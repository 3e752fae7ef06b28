"""Whole runs of the command line, killed and resumed, on a tiny config."""

import collections
import json
import os
import re
import shutil
import signal
import time

import jax
import numpy as np
import pytest
from presets import preset
from runs import (
    ROOT,
    STAGES,
    arrays,
    assert_documented,
    assert_same,
    assert_same_costs,
    documented,
    is_documented,
    of_the_clock,
    start,
    wait_for,
    written_keys,
)

from fdjax.config import CombinedStage, as_config_dict
from fdjax.data.splits import load_splits
from fdjax.data.theorems import write_theorems
from fdjax.lean.farm import Farm
from fdjax.reporting import costs
from fdjax.rollout import engine
from fdjax.rollout.journal import Journal
from fdjax.runtime import hosts
from fdjax.runtime.files import read_lines
from fdjax.runtime.preemption import Preemption
from fdjax.training import build, step
from fdjax.training.experiment import device_idle, run_experiment
from fdjax.types import Message
from tests import coin, tiny_config

ROLLOUTS = dict(  # of tiny_config's stages
    save_every=2, prompts_per_step=4, samples_per_prompt=4, pipeline_depth=1
)


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """One cache of compiled programs for all runs: they are the same programs."""
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


@pytest.fixture(scope="session")
def finished(environment, tmp_path_factory):
    """(workdir, output) of a run that nobody disturbed."""
    workdir = tmp_path_factory.mktemp("run")
    process = start(workdir, environment)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return workdir, output


def test_a_run_leaves_what_it_promises(finished):
    workdir, output = finished
    summary = json.loads((workdir / "summary.json").read_text())
    assert list(summary["stages"]) == list(STAGES)
    assert json.loads(output.strip().splitlines()[-1]) == summary
    for stage in STAGES:
        figures = summary["stages"][stage]
        assert set(figures["train"]["pass_at_k"]) == set(figures["heldout"]["pass_at_k"]) >= {"1"}
        steps = [json.loads(x)["step"] for x in (workdir / stage / "metrics.jsonl").open()]
        assert steps == list(range(len(steps))) and steps
        assert json.loads((workdir / stage / "config.json").read_text())["fingerprint"]
        spent = costs.total(map(json.loads, (workdir / stage / "metrics.jsonl").open()))
        assert figures["spent"] == spent
        parts = sum(v for kind, v in spent.items() if kind.startswith("flops_"))
        assert spent["flops"] == parts > 0
    for stage in ("fd", "grpo"):
        assert summary["stages"][stage]["spent"]["rollouts"] == 6 * 4 * 4
    assert set(summary["stages"]["fd"]["teacher_solve_rate"]) == {"feedback", "none", "shuffled"}
    assert len(list((workdir / "fd" / "rollouts").iterdir())) == 6
    assert "<html" in (workdir / "report.html").read_text()


def test_docs_metrics_names_what_runs_write_and_nothing_else(finished):
    """What this run has no reason to write stands in the code."""
    assert_documented(finished[0])
    code = "\n".join(file.read_text() for file in (ROOT / "fdjax").rglob("*.py"))
    for file, keys in written_keys(finished[0]).items():
        for page_key in documented(file):
            if any(is_documented(key, [page_key]) for key in keys):
                continue
            fixed, *names = re.split("[A-Z]{2,}", page_key)  # feedback/by_NAME
            last = re.search("[^/]+/?$", fixed)[0]
            written = rf"[\"']{last}{{" if names else rf"[\"'/]{last}[\"']|\b{last}="
            assert re.search(written, code), page_key


def test_finished_stages_are_reused(finished, environment):
    workdir, _ = finished
    before = {f: f.stat().st_mtime_ns for f in workdir.glob("*/metrics.jsonl")}
    process = start(workdir, environment)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert {f: f.stat().st_mtime_ns for f in before} == before


def test_a_finished_run_is_evaluated_again_where_proofs_are_replayed(
    finished, environment, tmp_path
):
    shutil.copytree(finished[0], tmp_path / "w")
    process = start(tmp_path / "w", environment, "--config.lean.replay=True")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    for stage in STAGES:
        trained = (tmp_path / "w" / stage / "metrics.jsonl").read_bytes()
        assert trained == (finished[0] / stage / "metrics.jsonl").read_bytes()
        before = read_lines(finished[0] / stage / "evals.jsonl")
        again = read_lines(tmp_path / "w" / stage / "evals.jsonl")[len(before) :]
        assert all(line["key"].pop("replayed") for line in again)
        assert {line["figures"].pop("replay_refused") for line in again} == {0}
        assert again == [line for line in before if "split" in line["key"]] != []


def test_a_changed_config_is_refused_by_name(finished, environment):
    workdir, _ = finished
    process = start(workdir, environment, "--config.fd.ema_rate=0.5")
    output, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "fd.ema_rate: 0.005 there, 0.5 now" in output and "Traceback" not in output


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.init_from=/nowhere", "init_from=/nowhere: /nowhere is no folder"),
        ("--config.data.train=nowhere.jsonl", "data.train: "),
        ("--config.fd.alpha=2", "fd.alpha is 2.0, must be at most 1"),
    ],
)
def test_bad_values_end_before_any_work(tmp_path, environment, flag, message):
    """tests/test_config.py and test_checks.py have many more, without the command line."""
    process = start(tmp_path / "w", environment, flag)
    output, _ = process.communicate(timeout=200)
    assert process.returncode != 0 and message in output and "Traceback" not in output, output
    assert not list(tmp_path.glob("w/*/"))  # no stage has begun


@pytest.mark.parametrize(
    "moments",
    [
        ("fd/rollouts/000003.jsonl", "grpo/rollouts/000002.jsonl"),
        *(
            pytest.param((moment,), marks=pytest.mark.slow)
            for moment in ("sft/metrics.jsonl", "sft/rollouts", "fd/metrics.jsonl", "grpo")
        ),
    ],
)
def test_killed_at_any_moment_a_run_ends_the_same(finished, environment, tmp_path, moments):
    for moment in moments:
        process = start(tmp_path, environment)
        wait_for(tmp_path / moment, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    process = start(tmp_path, environment)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert_same(finished[0], tmp_path)
    assert_same_costs(finished[0], tmp_path)


@pytest.mark.slow
def test_adapters_killed_and_resumed(finished, environment, tmp_path):
    """On a trained stage; and what they were added to is what it was."""
    flags = (
        f"--config.init_from={finished[0] / 'sft'}",
        "--config.model.lora_rank=2",
        "--config.grpo.kl_coefficient=0.1",
        "--config.fd.optimizer.moments=bfloat16",
        "--config.fd.teacher_dtype=bfloat16",
    )
    for workdir, moments in (("whole", ()), ("killed", ("fd/metrics.jsonl", "grpo/rollouts"))):
        for moment in moments:
            process = start(tmp_path / workdir, environment, *flags)
            wait_for(tmp_path / workdir / moment, process)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        process = start(tmp_path / workdir, environment, *flags)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    assert_same(tmp_path / "whole", tmp_path / "killed", ["fd", "grpo"])
    (_, before), (_, after) = arrays(finished[0], "sft"), arrays(tmp_path / "whole", "grpo")
    adapters = [name for name in after if name.startswith("params") and "_lora" in name]
    base = [name for name in after if name.startswith("params") and name not in adapters]
    assert len(adapters) == 2 * 7 and set(base) == {n for n in before if n.startswith("params")}
    for name in base:
        np.testing.assert_array_equal(after[name], before[name])
    assert all(after[name].any() for name in adapters)


def test_sigterm_saves_and_exits(finished, environment, tmp_path):
    process = start(tmp_path, environment)
    wait_for(tmp_path / "fd" / "rollouts" / "000002.jsonl", process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=100)
    assert process.returncode != 0 and "the same command goes on" in output
    saved = max(int(f.name) for f in (tmp_path / "fd" / "checkpoints").iterdir())
    lines = (tmp_path / "fd" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == saved
    process = start(tmp_path, environment)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert_same(finished[0], tmp_path)


def test_sigterm_outside_of_training_ends_the_run_at_once(finished, environment, tmp_path):
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "grpo" / "evals.jsonl").unlink()
    process = start(tmp_path, environment, "--config.evaluation.train_samples=400")
    for line in process.stdout:
        if line.startswith("sft: split train"):
            break
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "the same command goes on" in output, output


def test_a_handler_that_waits_for_the_step():
    preemption = Preemption()
    with pytest.raises(SystemExit), preemption.after_a_step():
        preemption.request()
        reached = True
    assert reached and preemption.requested
    with pytest.raises(SystemExit):
        preemption.request()


def test_a_signal_while_hosts_agree_counts_the_next_time(monkeypatch):
    preemption = Preemption()

    def allgather(_, find):
        requested = find()
        preemption.requested = True  # by the handler, after this host has answered
        return [requested, False]

    monkeypatch.setattr(hosts, "allgather", allgather)
    assert [preemption.should_stop(), preemption.should_stop()] == [False, True]
    monkeypatch.setattr(hosts, "allgather", lambda *_: [False, True])
    preemption = Preemption()
    assert preemption.should_stop() and preemption.requested  # this one ends with the other


def test_init_from_replaces_earlier_stages(finished, environment, tmp_path):
    """And with theorems out of a file."""
    workdir, _ = finished
    file = tmp_path / "train.jsonl"
    write_theorems(file, load_splits(tiny_config.get_config().data)[0]["train"])
    flags = (
        f"--config.init_from={workdir / 'sft'}",
        "--config.stages=('sft','grpo')",
        f"--config.data.train={file}",
    )
    process = start(tmp_path, environment, *flags)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert not (tmp_path / "sft" / "metrics.jsonl").exists()
    summary = json.loads((tmp_path / "summary.json").read_text())
    first = json.loads((workdir / "summary.json").read_text())
    assert list(summary["stages"]) == ["sft", "grpo"]
    assert summary["stages"]["sft"]["train"] == first["stages"]["sft"]["train"]
    assert summary["stages"]["sft"]["spent"] == first["stages"]["sft"]["spent"]


@pytest.mark.slow
def test_a_resumed_run_has_the_statements_that_it_began_with(tmp_path, monkeypatch):
    """Though Lean, near its time limit, now accepts those that it refused."""
    config = tiny_config.get_config()
    config.mesh.fsdp, config.stages = 1, ("grpo",)
    config.grpo.update(steps=3, save_every=1)
    config.evaluation.update(theorems=2, train_samples=2, heldout_samples=2)
    for name, theorems in load_splits(config.data)[0].items():
        write_theorems(tmp_path / f"{name}.jsonl", theorems)
        config.data[name] = str(tmp_path / f"{name}.jsonl")
    refused, make_update, steps = [True], build.make_batch_update, []

    def invalid_statements(self, theorems):
        return [(t, Message("error", "no")) for t in theorems[1:3] if refused[0]]

    def update_or_die(*args):
        update = make_update(*args)

        def wrapped(train_state, batch):
            steps.append(1)
            if len(steps) == 3:
                raise KeyboardInterrupt
            return update(train_state, batch)

        return wrapped

    monkeypatch.setattr(Farm, "submit", coin.submit)
    monkeypatch.setattr(Farm, "invalid_statements", invalid_statements)
    run_experiment(config, tmp_path / "undisturbed")
    monkeypatch.setattr(build, "make_batch_update", update_or_die)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(config, tmp_path / "killed")
    refused[0] = False
    run_experiment(config, tmp_path / "killed")
    assert len(steps) == 4
    assert_same(tmp_path / "undisturbed", tmp_path / "killed", ["grpo"])


def test_one_compilation_per_function_and_bucket(tmp_path, caplog, monkeypatch):
    """Over a whole run nothing is compiled twice, and the large functions once per bucket."""
    monkeypatch.setattr(Farm, "submit", coin.submit)
    config = tiny_config.get_config()
    config.mesh.fsdp = 1
    config.sft.samples_per_prompt = config.fd.samples_per_prompt  # hence one shape for all
    config.stages = (*STAGES, "both")
    config.grpo.update(minibatches=2, epochs=2, is_clip=2.0, kl_coefficient=0.1)
    config.grpo.variants.max_refills = 2
    both = CombinedStage(
        **ROLLOUTS,
        steps=3,
        turns=("distillation", "policy_gradient"),
    )
    config.both = as_config_dict(both)
    decode, decoded = engine.decode, set()

    def noting(model, weights, slots, *args, steps, width):
        decoded.add((slots.cache.layers[0].keys.shape, steps, width))
        return decode(model, weights, slots, *args, steps=steps, width=width)

    learn, accumulated, updates = step.learn, set(), []

    def noting_learn(update, state, cuts, denominator):
        updates.append(update)  # so that no other takes its id
        for rows in cuts:
            shapes = str(jax.tree.map(lambda x: x.shape, rows))
            accumulated.add((id(update), shapes))
        return learn(update, state, cuts, denominator)

    monkeypatch.setattr(engine, "decode", noting)
    monkeypatch.setattr(step, "learn", noting_learn)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        run_experiment(config, tmp_path)
    assert_documented(tmp_path)
    compiled = [m.split(" for with ")[0] for m in caplog.messages if m.startswith("Compiling")]
    named = collections.Counter(re.match(r"Compiling jit\((\w+)\)", m)[1] for m in compiled)
    assert named["accumulate"] == len(accumulated), named
    assert named["zeros"] == named["apply"] == len(STAGES) + 1 and named["score"] > 0, named
    # Slots are quarters of generation.slots; the columns follow from the bucket.
    shapes = {shape for shape, *_ in decoded}
    buckets = config.prompt.student_buckets + config.prompt.teacher_buckets
    assert {slots for slots, *_ in shapes} <= {4, 16, 64, 256}
    assert len(shapes) <= 3 * len(buckets)
    assert named["empty"] == named["insert"] == len(shapes) >= named["prefill"] > 0, named
    assert named["decode"] == len(decoded) <= 3 * len(shapes), named
    assert named["copy"] == 1, named
    # `make` is a stage's fresh state: one function a stage, and two of them look alike here.
    # `empty` takes no array, `decode` differs by its width, the parts of an update by objective.
    alike = re.compile(r"jit\((make|empty|decode|zeros|accumulate|apply)\)")
    counts = collections.Counter(m for m in compiled if not alike.search(m))
    repeated = [m for m, count in counts.items() if count > 1]
    assert not repeated

    grpo, both = (read_lines(tmp_path / stage / "metrics.jsonl") for stage in ("grpo", "both"))
    # As many groups as there are prompts, unless the two theorems that were left did not do.
    assert all(line["groups"] == 4 or line["refills"] == 1 for line in grpo)
    assert sum(line["refills"] for line in grpo) > 0
    assert {"reference_kl", "generator_ratio", "ratio"} <= grpo[-1].keys()
    assert [line.keys() & {"loss/distillation", "loss/policy_gradient"} for line in both] == [
        {"loss/distillation"},
        {"loss/policy_gradient"},
        {"loss/distillation"},
    ]
    journal = Journal(tmp_path / "both" / "rollouts")
    assert ["feedback" in journal.read(step) for step in range(3)] == [True, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["dr_grpo", "dapo", "gspo", "cispo", "weighted"])
def test_each_recipe_runs_and_compiles_once(finished, tmp_path, caplog, monkeypatch, recipe):
    monkeypatch.setattr(Farm, "submit", coin.submit)
    config = tiny_config.get_config()
    config.mesh.fsdp = 1
    config.init_from, config.stages = str(finished[0] / "sft"), (recipe,)
    if recipe == "weighted":
        config.weighted = as_config_dict(CombinedStage(**ROLLOUTS, steps=6))
    else:
        config[recipe] = preset(recipe).grpo
        config[recipe].update(**ROLLOUTS, steps=6)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        run_experiment(config, tmp_path)
    named = collections.Counter(re.findall(r"Compiling jit\((\w+)\)", "\n".join(caplog.messages)))
    assert named["update"] == 1 and named["score"] <= 1, named
    lines = read_lines(tmp_path / recipe / "metrics.jsonl")
    assert all(line["loss"] is not None and line["policy_entropy"] > 0.1 for line in lines)
    assert any(line["grad_norm"] for line in lines)


@pytest.mark.slow
def test_refills_and_several_updates_survive_kills(finished, environment, tmp_path):
    flags = (
        f"--config.init_from={finished[0] / 'sft'}",
        "--config.stages=('fd','grpo')",
        "--config.fd.minibatches=2",
        "--config.fd.epochs=2",
        "--config.grpo.minibatches=2",
        "--config.grpo.epochs=2",
        "--config.grpo.variants.max_refills=2",
        "--config.grpo.kl_coefficient=0.1",
    )
    workdirs = tmp_path / "undisturbed", tmp_path / "killed"
    for moment in ("fd/rollouts/000003.jsonl", "grpo/rollouts/refill_1", "grpo/checkpoints/4"):
        process = start(workdirs[1], environment, *flags, module="tests.coin")
        wait_for(workdirs[1] / moment, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    for workdir in workdirs:
        process = start(workdir, environment, *flags, module="tests.coin")
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
    assert_same(*workdirs, ("fd", "grpo"))
    assert list((workdirs[0] / "grpo" / "rollouts" / "refill_1").iterdir())


@pytest.mark.slow
def test_expert_iteration_killed_in_mid_round(finished, environment, tmp_path):
    flags = (
        f"--config.init_from={finished[0] / 'sft'}",
        "--config.stages=('sft','expert_iteration')",
        "--config.expert_iteration.curriculum.window=1",
    )
    for name, moment in (("whole", None), ("killed", "metrics.jsonl"), ("killed", None)):
        process = start(tmp_path / name, environment, *flags)
        if moment:
            file = tmp_path / name / "expert_iteration" / moment
            while not file.exists() or file.read_text().count("\n") < 5:  # saved at 2 and 4
                assert process.poll() is None
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate(timeout=300)
        assert moment or process.returncode == 0, output
    assert_same(tmp_path / "whole", tmp_path / "killed", ["expert_iteration"])
    assert_documented(tmp_path / "whole")
    whole, killed = (
        [
            {k: v for k, v in json.loads(x).items() if not of_the_clock(k)}
            for x in (tmp_path / name / "expert_iteration" / "metrics.jsonl").open()
        ]
        for name in ("whole", "killed")
    )
    assert whole == killed and "solve_rate" in whole[3] and "solve_rate" not in whole[4]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdpo", "opsd", "sdft", "gkd"])
def test_each_preset_trains(finished, tmp_path, caplog, name):
    config, chosen = tiny_config.get_config(), preset(name)
    config.fd, config.feedback = chosen.fd, chosen.feedback
    config.fd.update(steps=4, save_every=2, prompts_per_step=4)
    config.update(stages=("fd",), init_from=str(finished[0] / "sft"))
    if name == "sdpo":  # whose tiny attempts have no peers that succeed
        config.feedback.provider = "peers,lean_messages"
    config.mesh.fsdp = 1
    with jax.log_compiles(), caplog.at_level("WARNING"):
        run_experiment(config, tmp_path)
    compiled = [m for m in caplog.messages if m.startswith("Compiling jit(apply)")]
    assert len(compiled) == 1
    steps = [json.loads(line) for line in (tmp_path / "fd" / "metrics.jsonl").open()]
    assert len(steps) == config.fd.steps
    learned = [step for step in steps if not step["skipped"]]
    assert learned and all(np.isfinite(step["loss"]) for step in learned)


@pytest.mark.slow
def test_a_whole_run_on_eight_devices(environment, tmp_path):
    eight = environment | {"JAX_NUM_CPU_DEVICES": "8"}
    flags = ("--config.mesh.fsdp=4", "--config.mesh.tensor=2")
    process = start(tmp_path, eight, *flags)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert len(json.loads((tmp_path / "summary.json").read_text())["stages"]) == len(STAGES)


def test_the_device_is_idle_where_nothing_is_updated_copied_or_written():
    seconds = {"time/step": 4.0, "time/update": 1.0, "time/device": 1.5, "time/wait": 1.5}
    assert device_idle(seconds) == pytest.approx(0.375)
    assert device_idle(seconds | {"time/weights": 0.5}) == pytest.approx(0.25)
    assert device_idle({"time/step": 1.0, "time/update": 1.01}) == 0
