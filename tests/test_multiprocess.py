"""Several processes are one run: the update, what hosts exchange, a run from end to end."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from engine_runs import TINY
from rollouts import small_generator, written_tokens
from runs import ROOT, STAGES, arrays, assert_same, command, wait_for
from tiny_model import random_params
from tiny_updates import one_device
from toy_episodes import episodes, toy_generator

from fdjax.runtime.files import read_lines

WORKER = """
import json, sys
import jax
process, port = int(sys.argv[1]), sys.argv[2]
jax.config.update("jax_num_cpu_devices", 4)
jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
import numpy as np
from fdjax.runtime import sharding
from fdjax.training import state
from tiny_updates import adamw, setup
assert jax.device_count() == 8
with jax.set_mesh(sharding.make_mesh(2, 2, 2)):
    update, made, batch = setup("combined", (2, 2, 2), ema_rate=0.1)
    assert not batch["distillation"].weights.is_fully_addressable
    optimizer = adamw(learning_rate=1e-2)
    mesh = sharding.make_mesh(2, 2, 2)
    made = state.restart(made.params, optimizer, mesh, with_teacher=True)
    for _ in range(2):
        made, metrics = update(made, batch)
made, metrics = sharding.fetch((made, metrics))
norms = [float(np.linalg.norm(x)) for x in jax.tree.leaves((made.params, made.teacher_params))]
print("RESULT", json.dumps([norms, {name: float(x) for name, x in metrics.items()}]))
"""


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


def results_of(worker, processes):
    """What each process of `worker`, a program, prints behind RESULT."""
    port, here = free_port(), Path(__file__).parent
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", worker, str(i), port],
            cwd=here,
            env={"PYTHONPATH": f"{here}:{here.parent}", "JAX_PLATFORMS": "cpu", "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(processes)
    ]
    try:
        outputs = [worker.communicate(timeout=300) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    results = []
    for worker, (out, err) in zip(workers, outputs):
        assert worker.returncode == 0, err
        results += [json.loads(line[7:]) for line in out.splitlines() if line.startswith("RESULT ")]
    return results


@pytest.mark.slow
def test_two_processes_are_one_device():
    results = results_of(WORKER, 2)
    assert results[0] == results[1]
    norms, metrics = results[0]
    expected, history = one_device("combined")
    leaves = jax.tree.leaves((expected.params, expected.teacher_params))
    np.testing.assert_allclose(norms, [np.linalg.norm(x) for x in leaves], rtol=1e-5)
    for name, value in history[-1].items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


GENERATION = """
import dataclasses, json, sys
import jax
process, port = int(sys.argv[1]), sys.argv[2]
jax.config.update("jax_num_cpu_devices", 4)
jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
from engine_runs import TINY
from tiny_model import random_params
from rollouts import small_generator, written_tokens
from fdjax.config import GenerationConfig
from fdjax.runtime import sharding
made = small_generator()
model = dataclasses.replace(TINY, vocab_size=made.model.vocab_size)
mesh = sharding.make_mesh(2, 2, 2)
make = lambda: random_params(model)
placed = sharding.tree_shardings(jax.eval_shape(make), mesh)
params = jax.jit(make, out_shardings=placed)()
settings = GenerationConfig(slots=8, chunk=5)
generator = dataclasses.replace(made, model=model, mesh=mesh, settings=settings)
assert not params["layers"]["q_proj"]["kernel"].is_fully_addressable
print("RESULT", json.dumps([written_tokens(generator, params, step=step) for step in range(2)]))
"""


@pytest.mark.slow
def test_two_processes_write_what_one_device_writes():
    """24 attempts in 8 slots of 8 devices: both make the same decisions at each chunk."""
    results = results_of(GENERATION, 2)
    assert results[0] == results[1]
    made = small_generator()
    model = dataclasses.replace(TINY, vocab_size=made.model.vocab_size)
    alone = dataclasses.replace(made, model=model)
    params = random_params(model)
    assert results[0] == [written_tokens(alone, params, step=step) for step in range(2)]
    assert results[0][0] != results[0][1]


EPISODES = """
import dataclasses, json, sys
import jax
index, port = int(sys.argv[1]), sys.argv[2]
jax.config.update("jax_num_cpu_devices", 4)
from fdjax.runtime import hosts, sharding
hosts.join(f"localhost:{port}", 2, index)
from engine_runs import TINY
from tiny_model import random_params
from toy_episodes import Toy, episodes, toy_generator
toy = Toy(delay=0.02)
mesh = sharding.make_mesh(2, 2, 2)
generator = dataclasses.replace(toy_generator(TINY, toy), mesh=mesh)
make = lambda: random_params(generator.model)
placed = sharding.tree_shardings(jax.eval_shape(make), mesh)
groups = episodes(generator, jax.jit(make, out_shardings=placed)())
written = [[[s.tokens for s in a.segments] for a in group] for group in groups]
print("RESULT", json.dumps([written, len(toy.steps)]))
"""


@pytest.mark.slow
def test_two_processes_hold_the_same_episodes():
    """Each steps those of its own requests, when it can; both know all answers at the same chunk,
    and write what one device writes.
    """
    (written, steps), (other, other_steps) = results_of(EPISODES, 2)
    assert written == other
    generator = toy_generator(TINY)
    alone = episodes(generator, random_params(generator.model))
    expected = [[[list(s.tokens) for s in a.segments] for a in group] for group in alone]
    assert written == expected
    turns = [sum(a.turns for a in group) for group in alone]
    assert [steps, other_steps] == [sum(turns[::2]), sum(turns[1::2])]


TALK = """
import concurrent.futures, json, sys
from fdjax.runtime import hosts
index, port = int(sys.argv[1]), sys.argv[2]
hosts.join(f"localhost:{port}", 3, index)
assert hosts.count() == 3 and hosts.is_first() == (index == 0)
with concurrent.futures.ThreadPoolExecutor(4) as pool:  # each name in a thread, in any order
    names = ["d", "c", "b", "a"] if index else ["a", "b", "c", "d"]
    talk = lambda n: [hosts.broadcast(n, lambda: (n, i, index)) for i in range(9)]
    talks = {n: pool.submit(talk, n) for n in names}
    heard = [talks[n].result() for n in sorted(talks)]
large = hosts.allgather("large", lambda: bytes([index]) * (6 << 20))
class Odd(Exception):  # of this program alone, and not as it is made
    def __init__(self, of, what):
        super().__init__(f"{of} {what}")
raised = []
def fail(error):
    raise error
for ask in (lambda: hosts.broadcast("failing", lambda: fail(KeyError("k"))),
            lambda: hosts.allgather("one fails", lambda: index == 1 and fail(Odd("odd", 1)))):
    try:
        ask()
    except Exception as error:
        raised.append(f"{type(error).__name__} {error}")
print("RESULT", json.dumps([
    heard, hosts.allgather("small", lambda: {"of": index}), [sum(part) for part in large],
    [hosts.is_mine(i) for i in range(5)], raised,
]))
"""


def test_what_hosts_exchange():
    results = results_of(TALK, 3)
    for index, (heard, small, large, mine, raised) in enumerate(results):
        assert heard == [[[name, i, 0] for i in range(9)] for name in "abcd"]
        assert small == [{"of": 0}, {"of": 1}, {"of": 2}]
        assert large == [i * (6 << 20) for i in range(3)]
        assert mine == [i % 3 == index for i in range(5)]
        assert raised == ["KeyError 'k'", "RuntimeError Odd('odd 1')"]


LEAVING = """
import sys
from fdjax.runtime import hosts
hosts._LEAVING_S = 3
index, port = int(sys.argv[1]), sys.argv[2]
hosts.join(f"localhost:{port}", 2, index)
hosts.allgather("all are there", lambda: None)
if index == 1:
    raise SystemExit("stopped")
hosts.allgather("one has left", lambda: None)
"""


def test_a_host_that_leaves_alone_ends_the_others():
    """JAX would let them wait for five minutes."""
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"Shutdown barrier .* failed"):
        results_of(LEAVING, 2)
    assert time.monotonic() - began < 100


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory):
    """Starts the run of tests/tiny_config.py in two processes with two devices each."""
    shared = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_NUM_CPU_DEVICES": "2",
    }

    started = []

    def start(workdir):
        together = (f"--coordinator=localhost:{free_port()}", "--processes=2")
        processes = [
            subprocess.Popen(
                command(workdir, *together, f"--process={i}", module="tests.coin"),
                cwd=ROOT,
                env=shared,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for i in range(2)
        ]
        started.extend(processes)
        return processes

    yield start
    for process in started:
        process.kill()


@pytest.mark.slow
def test_a_run_on_two_hosts_killed_and_resumed(two_hosts, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for moment, of, by in (
        ("fd/rollouts/000003.jsonl", (0, 1), signal.SIGKILL),
        ("grpo/checkpoints/2", (1,), signal.SIGTERM),  # the other stops with it
    ):
        processes = two_hosts(killed)
        wait_for(killed / moment, processes[0], timeout=900)
        for i in of:
            processes[i].send_signal(by)
        outputs = [p.communicate(timeout=300)[0] for p in processes]
        expected = -signal.SIGKILL if by == signal.SIGKILL else 1
        assert [p.returncode for p in processes] == [expected] * 2, outputs
    for workdir in (killed, whole):
        processes = two_hosts(workdir)
        outputs = [p.communicate(timeout=600)[0] for p in processes]
        assert [p.returncode for p in processes] == [0, 0], outputs
    assert_same(whole, killed)
    for stage in STAGES:
        lines = read_lines(whole / stage / "metrics.jsonl")
        assert [line["step"] for line in lines] == list(range(len(lines)))
    assert json.loads(outputs[0].strip().splitlines()[-1])["stages"].keys() == set(STAGES)
    assert "sft 30/30" in outputs[0] and "sft 30/30" not in outputs[1]
    # One process with as many devices begins alike; what is sampled later depends on the last bits.
    alone = tmp_path / "alone"
    subprocess.run(
        command(alone, "--config.stages=('sft',)", module="tests.coin"),
        cwd=ROOT,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "4"},
        check=True,
        capture_output=True,
    )
    (_, ours), (_, theirs) = arrays(whole, "sft"), arrays(alone, "sft")
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-4, err_msg=name)
