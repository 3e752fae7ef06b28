"""Traces of a few steps, which TensorBoard's profile plugin and xprof open.

A trace has what the devices ran, and on the host's threads the parts of the loop by name: generate,
wait, batch, update in the loop's own thread, verify and feedback in the one beside it.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator

import jax

annotation = jax.profiler.TraceAnnotation  # names a block; without a trace it does nothing

Step = Callable[[int], contextlib.AbstractContextManager]


def annotated(name: str) -> Callable:
    """A decorator: calls of the function have this name in a trace."""
    return functools.partial(jax.profiler.annotate_function, name=name)


@contextlib.contextmanager
def tracing(folder: str | os.PathLike, name: str, steps: range) -> Iterator[Step]:
    """Yields what a loop enters for each step, by its number.

    The trace of `steps` is written to `folder`/plugins/profile/NAME_FIRST, also where the loop ends
    before the last of them; none if the loop begins after the first one. On several hosts each
    writes a file of its own.
    """
    with contextlib.ExitStack() as trace:

        @contextlib.contextmanager
        def step(number: int) -> Iterator[None]:
            if steps and number == steps[0]:
                trace.enter_context(_trace(folder, f"{name}_{number}"))
            with jax.profiler.StepTraceAnnotation(name, step_num=number):
                yield
            if steps and number == steps[-1]:
                trace.close()

        yield step


def _trace(folder, session):
    options = jax.profiler.ProfileOptions()
    options.session_id = session
    options.python_tracer_level = 0  # millions of calls would hide the named parts
    return jax.profiler.trace(folder, profiler_options=options)
