"""fdjax.main with verdicts that are drawn by a hash of each proof, so that a third are proved: a
model as small as that of the tests proves nothing, and GRPO would have no gradient.
"""

import concurrent.futures
import runpy
import zlib

from fdjax.lean.farm import Farm
from fdjax.types import Verdict


def submit(self, theorem, candidate, *, urgent=False, more_follow=False):
    """In place of Farm.submit: the same verdict of the same text, always."""
    done = concurrent.futures.Future()
    done.set_result(Verdict("proved" if zlib.crc32(candidate.text.encode()) % 3 == 0 else "failed"))
    return done


if __name__ == "__main__":
    Farm.submit = submit
    runpy.run_module("fdjax.main", run_name="__main__")
