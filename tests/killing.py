"""Runs that kill themselves at ten random moments (tests/dying.py) and go on after each."""

import os
import random
import signal

from runs import start


def kill_at_ten_moments(folder, *flags, timeout, **environment):
    """Runs `whole` in the folder without a kill, and `killed` with ten: both have ended then.

    A moment is up to 10 ms after the N-th of what dying.py counts.
    """
    count = folder / "count"
    environment = (
        os.environ
        | environment
        | {
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "CHUNKS": str(count),
        }
    )

    def run(name, number, seconds):
        dying = environment | {"DYING": f"{number} {seconds}"}
        process = start(folder / name, dying, *flags, module="tests.dying")
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output

    code, output = run("whole", 0, 0)
    assert code == 0, output
    total, rng = int(count.read_text()), random.Random()
    moments = [(rng.randint(1, total // 6), round(rng.uniform(0, 0.01), 4)) for _ in range(10)]
    for moment in moments:
        code, output = run("killed", *moment)
        assert code == -signal.SIGKILL, (moments, output)
    code, output = run("killed", 0, 0)
    assert code == 0, (moments, output)
    assert int(count.read_text()) < total  # the killed ones had made some way
