"""What is set before JAX starts: freed memory is used again, and so are compiled programs."""

import os
import subprocess
import sys

FAULTS = """
import resource, sys, threading
import numpy as np
from fdjax.runtime.startup import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    for _ in range(3):
        before = faults()
        block = np.ones(25_000_000)  # 200 MB
        del block
    print(faults() - before)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""

COMPILE = """
import jax, jax.numpy as jnp
from fdjax.runtime.startup import keep_compiled_programs
keep_compiled_programs()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.monitoring.register_event_listener(lambda event, **_: print(event))
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((3, 3)))
"""


def python(code, *args, **environment):
    end = subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert end.returncode == 0, end.stderr
    return end.stdout


def test_freed_memory_is_used_again_by_threads():
    mapped_anew, kept = (int(python(FAULTS, mode)) for mode in ("leave", "keep"))
    assert mapped_anew > 10 * kept + 50


def test_programs_are_compiled_once_in_all_processes(tmp_path):
    outputs = [python(COMPILE, FDJAX_CACHE=str(tmp_path)) for _ in range(2)]
    hits = ["/jax/compilation_cache/cache_hits" in output for output in outputs]
    assert hits == [False, True] and any((tmp_path / "programs").iterdir())
