"""The rollout of a step in episodes, kept in a journal: `python episode_worker.py FOLDER KEPT`
kills itself as soon as so many steps of the environment are kept.
"""

import os
import signal
import sys
from concurrent.futures import Future

from engine_runs import TINY
from rollouts import THEOREMS
from tiny_model import random_params
from toy_episodes import Toy, toy_generator

from fdjax.config import CurriculumConfig
from fdjax.rollout.curriculum import Curriculum
from fdjax.rollout.generate import Sampling
from fdjax.rollout.journal import Journal
from fdjax.rollout.worker import RolloutWorker
from fdjax.runtime.metrics import Timers
from fdjax.types import Verdict


class Lean:
    def submit(self, theorem, candidate, *, urgent=False, more_follow=False):
        done = Future()
        done.set_result(Verdict("failed"))
        return done


def rollout(folder, toy: Toy, kind=Journal):
    generator = toy_generator(TINY, toy)
    worker = RolloutWorker(
        generator=generator,
        sampling=Sampling(samples=4, temperature=1.0, seed=0, stream="fd"),
        farm=Lean(),
        curriculum=Curriculum(THEOREMS[:6], 4, 0, CurriculumConfig()),
        journal=kind(folder),
        timers=Timers(),
    )
    try:
        return worker.rollout(0, random_params(generator.model))
    finally:
        worker.close()


if __name__ == "__main__":
    kept, last = 0, int(sys.argv[2])

    class Dying(Journal):
        def extend(self, step, kind, items):
            global kept
            super().extend(step, kind, items)
            kept += len(items)
            if kept >= last:
                os.kill(os.getpid(), signal.SIGKILL)

    rollout(sys.argv[1], Toy(delay=0.01), Dying)
