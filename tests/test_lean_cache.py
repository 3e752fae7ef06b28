"""Verdicts kept between runs: what is kept, under which key, and after a crash."""

import dataclasses
import json

import pytest

from fdjax.lean import cache as cache_module
from fdjax.lean.cache import VerdictCache, cache_key
from fdjax.types import Candidate, Message, Theorem, Verdict, verdict_from_json, verdict_to_json

VERDICT = Verdict(
    "failed",
    (Message("error", "nope: ∀ 𝕜", "kind", 3, 7), Message("warning", "w")),
    ("propext",),
    0.25,
    "embedded",
)
THEOREM = Theorem("id", "name", "(p : Prop) : p", ("Mathlib",), "open Nat")
P = Candidate("p")


@dataclasses.dataclass
class Keyed:
    name: str = "a"
    version: str = "1"
    limits: str = "l"


def test_json_keeps_a_verdict_whole():
    assert verdict_from_json(json.loads(json.dumps(verdict_to_json(VERDICT)))) == VERDICT


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"status": "fine", "messages": []},
        {"status": "proved"},
        {"status": "proved", "messages": [3], "axioms": []},
    ],
)
def test_json_of_something_else_is_an_error(data):
    with pytest.raises((KeyError, TypeError, ValueError)):
        verdict_from_json(data)


def test_key_depends_on_all_that_a_verdict_depends_on(monkeypatch):
    keys = [cache_key(Keyed(), THEOREM, P)]
    changes = {"name": "other", "signature": ": q", "imports": (), "context": ""}
    keys += [
        cache_key(Keyed(), dataclasses.replace(THEOREM, **{field: value}), P)
        for field, value in changes.items()
    ]
    keys += [
        cache_key(Keyed(**{field: "other"}), THEOREM, P) for field in ("name", "version", "limits")
    ]
    keys.append(cache_key(Keyed(), THEOREM, Candidate("p ")))
    monkeypatch.setattr(cache_module, "AUDIT_VERSION", "other")
    keys.append(cache_key(Keyed(), THEOREM, P))
    assert len(set(keys)) == len(keys) == 10


def test_key_ignores_what_a_verdict_does_not_depend_on():
    other = dataclasses.replace(THEOREM, id="other", reference="x", split="test")
    assert cache_key(Keyed(), other, P) == cache_key(Keyed(), THEOREM, P)
    assert cache_key(Keyed(), THEOREM, Candidate("\ud800")) != cache_key(
        Keyed(), THEOREM, Candidate("\udfff")
    )


@pytest.mark.parametrize(
    "status, kept",
    [
        ("proved", True),
        ("failed", True),
        ("rejected", True),
        ("timeout", False),
        ("crashed", False),
    ],
)
def test_only_decided_verdicts_are_kept(tmp_path, status, kept):
    path = tmp_path / "cache.jsonl"
    cache = VerdictCache(path)
    cache.put("k", Verdict(status))
    assert (cache.get("k") is not None) == kept
    cache.close()
    assert (VerdictCache(path).get("k") is not None) == kept


def test_a_torn_line_and_foreign_ones_are_ignored(tmp_path):
    path = tmp_path / "folder" / "cache.jsonl"
    cache = VerdictCache(path)
    cache.put("a", VERDICT)
    cache.put("b", VERDICT)
    cache.close()
    whole = path.read_bytes()
    path.write_bytes(b'\xff\xfe\nnull\n{"key": 3}\n' + whole[:-20])
    cache = VerdictCache(path)
    assert cache.get("a") == VERDICT and cache.get("b") is None
    cache.put("c", VERDICT)
    cache.close()
    again = VerdictCache(path)
    assert again.get("a") == again.get("c") == VERDICT and len(again) == 2


def test_two_caches_share_a_file(tmp_path):
    path = tmp_path / "cache.jsonl"
    one, two = VerdictCache(path), VerdictCache(path)
    for i in range(50):
        (one if i % 2 else two).put(str(i), VERDICT)
    one.close()
    two.close()
    assert len(VerdictCache(path)) == 50


def test_memory_is_bounded_and_the_oldest_go_first():
    cache = VerdictCache(max_entries=3)
    for i in range(5):
        cache.put(str(i), VERDICT)
    assert len(cache) == 3 and cache.get("1") is None and cache.get("4") == VERDICT


@pytest.mark.parametrize("written, message", [(None, "No space"), (5, "in part")])
def test_a_full_disk_ends_the_file_and_keeps_the_verdict(tmp_path, written, message):
    cache = VerdictCache(tmp_path / "cache.jsonl")

    class Full:
        def write(self, _):
            if written is None:
                raise OSError("No space left on device")
            return written

    cache._file.close()
    cache._file = Full()
    with pytest.warns(UserWarning, match=f"no longer kept on disk: .*{message}"):
        cache.put("k", VERDICT)
    assert cache._file is None
    assert cache.get("k") == VERDICT
