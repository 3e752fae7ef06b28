"""Two processes of four devices each are eight devices."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from test_update import one_device

WORKER = """
import json, sys
import jax
process, port = int(sys.argv[1]), sys.argv[2]
jax.config.update("jax_num_cpu_devices", 4)
jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
import numpy as np
from fdjax import sharding, state
from test_update import setup
assert jax.device_count() == 8
with jax.set_mesh(sharding.make_mesh(2, 2, 2)):
    update, made, batch = setup("combined", (2, 2, 2), ema_rate=0.1)
    assert not batch["distillation"].weights.is_fully_addressable
    optimizer = state.make_optimizer(state.OptimizerConfig(learning_rate=1e-2))
    mesh = sharding.make_mesh(2, 2, 2)
    made = state.restart(made.params, optimizer, mesh, with_teacher=True)
    for _ in range(2):
        made, metrics = update(made, batch)
made, metrics = sharding.fetch((made, metrics))
norms = [float(np.linalg.norm(x)) for x in jax.tree.leaves((made.params, made.teacher_params))]
print("RESULT", json.dumps([norms, {name: float(x) for name, x in metrics.items()}]))
"""


@pytest.mark.slow
def test_two_processes_are_one_device():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    here = Path(__file__).parent
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(i), port],
            cwd=here,
            env={"PYTHONPATH": f"{here}:{here.parent}", "JAX_PLATFORMS": "cpu", "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
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
    assert results[0] == results[1]
    norms, metrics = results[0]
    expected, history = one_device("combined")
    leaves = jax.tree.leaves((expected.params, expected.teacher_params))
    np.testing.assert_allclose(norms, [np.linalg.norm(x) for x in leaves], rtol=1e-5)
    for name, value in history[-1].items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
