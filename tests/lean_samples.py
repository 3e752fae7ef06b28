"""A theorem with right and wrong proofs, and helpers about processes, for tests of backends."""

import time

from checking import submit

from fdjax.types import Theorem

SWAP = Theorem("swap", "swap", "(p q : Prop) (h : p ∧ q) : q ∧ p")
FALSE = Theorem("false", "absurdity", ": False")
GOOD = "by\n  obtain ⟨a, b⟩ := h\n  exact ⟨b, a⟩"
WRONG = "by\n  obtain ⟨a, b⟩ := h\n  exact ⟨a, b⟩"
HANGS = "by\n  repeat (have := h)"  # without a limit on heartbeats
PROOFS = [  # of SWAP, right and wrong
    GOOD,
    WRONG,
    "by\n  -- ∀ 𝕜 😀\n  have k : p := nope\n  exact h",
    "nope",
    "by simp",
    "by exact ⟨h.2, _⟩",
    "by\n  exact (h.2 ",
    "by\n  constructor\n  exact h.2",
    "by\n  have a := h.1\n  exact ⟨h.2, h.1⟩",
    HANGS,
]
HEARTBEATS = 500  # thousands, after which HANGS fails


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def hanging_child(farm) -> int:
    """The process id of a Lean that checks HANGS for a farm over the embedded backend."""
    submit(farm, SWAP, HANGS)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if child := farm._workers[0].processes.child:
            return child.pid
        time.sleep(0.01)
    raise AssertionError("no Lean was started")
