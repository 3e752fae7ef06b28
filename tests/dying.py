"""`fdjax train` that kills itself: `python -m tests.dying`, with the flags of `fdjax.main`.

The environment's DYING is "N SECONDS": so long after the N-th chunk of tokens was sent to the
device, or with DYING_OF=steps after the N-th time that steps of an environment were kept. A process
that lives to its end writes how many of these it had to the file CHUNKS.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from fdjax import main
from fdjax.rollout import engine
from fdjax.rollout.journal import Journal


def run() -> int:
    number, seconds = os.environ["DYING"].split()
    of = (Journal, "extend") if os.environ.get("DYING_OF") == "steps" else (engine, "decode")
    chunks, function = 0, getattr(*of)

    def counted(*args, **kwargs):
        nonlocal chunks
        chunks += 1
        out = function(*args, **kwargs)
        if chunks == int(number):
            threading.Timer(float(seconds), os.kill, (os.getpid(), signal.SIGKILL)).start()
        return out

    setattr(*of, counted)
    code = main.main_train(sys.argv[1:])
    Path(os.environ["CHUNKS"]).write_text(str(chunks))
    return code


if __name__ == "__main__":
    sys.exit(run())
