"""An index of declarations in a file of SQLite: built once, searched in milliseconds.

Three tables of FTS5 hold no text, only what leads to rows of `declarations`: words (ranked by
BM25), trigrams of the letters of names, trigrams of the shapes of types. Rows stand in the order of
the length of their names, so that a look-up that ends early has found the most general ones.
"""

import collections
import contextlib
import itertools
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.search.query import (
    Declaration,
    Query,
    letters,
    parse,
    quoted,
    shape,
    trigrams,
    words,
)

FORMAT = 2  # of the file: an index of another format is built again
CACHE_KIB = 16_384  # SQLite's cache of pages
COMMON = 1000  # declarations; of words that occur in more, the number is kept
MAX_RANKED = 2000  # declarations that BM25 weighs; of more the first are taken
# Declarations that hold words of a query, counted per word: beyond that the most common words are
# left out.
MAX_VISITED = 100_000
CANDIDATES = 150  # of each kind, to be ranked
SHAPES = 1000  # candidates whose types are compared with a query's
TRIGRAMS = 5  # of a query's type, the rarest, that a candidate must hold
SAMPLE = 16  # of so many declarations one is counted to tell which trigrams are rare
_BATCH = 2000
_MATCH = "SELECT rowid FROM words WHERE words MATCH ?"
_WEIGHTS = "10.0, 3.0, 1.0"  # of words in a name, a type, a docstring


class BadIndex(BackendUnavailable):
    """The file is no index, or of another version; the message names it and a remedy."""


def build_index(path: Path, declarations: Iterable[Declaration]) -> int:
    """Writes the index, in place of an older one, and returns its number of declarations. A name
    that comes twice counts once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(number)
    try:
        with contextlib.closing(sqlite3.connect(scratch, isolation_level=None)) as database:
            count = _fill(database, declarations)
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)
    return count


def _fill(database: sqlite3.Connection, declarations: Iterable[Declaration]) -> int:
    run = database.execute
    # a file that is not finished is thrown away, so nothing has to survive a crash
    for pragma in ("journal_mode=off", "synchronous=off", f"cache_size=-{CACHE_KIB}"):
        run(f"PRAGMA {pragma}")
    run("CREATE TABLE given(name TEXT PRIMARY KEY, signature TEXT, doc TEXT) WITHOUT ROWID")
    run("BEGIN")
    database.executemany("INSERT OR IGNORE INTO given VALUES(?, ?, ?)", declarations)
    run(
        "CREATE TABLE declarations(id INTEGER PRIMARY KEY, name TEXT, signature TEXT, doc TEXT,"
        " lower_name TEXT, shape TEXT)"
    )
    database.create_function("shape", 1, shape, deterministic=True)
    run(
        "INSERT INTO declarations(name, signature, doc, lower_name, shape)"
        " SELECT name, signature, doc, lower(name), shape(signature) FROM given"
        " ORDER BY length(name), name"
    )
    run("DROP TABLE given")
    run("CREATE INDEX by_name ON declarations(lower_name)")
    run("CREATE VIRTUAL TABLE words USING fts5(name, signature, doc, content='', detail=column)")
    for table in ("names", "shapes"):
        run(
            f"CREATE VIRTUAL TABLE {table} USING"
            " fts5(text, content='', detail=none, tokenize='trigram')"
        )
    counts: collections.Counter[str] = collections.Counter()
    of_sample: collections.Counter[str] = collections.Counter()
    cursor = run("SELECT id, name, signature, doc, shape FROM declarations ORDER BY id")
    while rows := cursor.fetchmany(_BATCH):
        texts = [(i, *map(words, parts)) for i, *parts, _ in rows]
        for _, *parts in texts:
            counts.update({word for part in parts for word in part})
        database.executemany(
            "INSERT INTO words(rowid, name, signature, doc) VALUES(?, ?, ?, ?)",
            ((i, *map(" ".join, parts)) for i, *parts in texts),
        )
        named = ((i, letters(name)) for i, name, *_ in rows)
        database.executemany("INSERT INTO names(rowid, text) VALUES(?, ?)", named)
        shaped = [(i, of_type) for i, *_, of_type in rows]
        database.executemany("INSERT INTO shapes(rowid, text) VALUES(?, ?)", shaped)
        for _, of_type in shaped[::SAMPLE]:
            of_sample.update(trigrams(of_type.lower()))
    run("CREATE TABLE common(word TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID")
    common = ((word, number) for word, number in counts.items() if number > COMMON)
    database.executemany("INSERT INTO common VALUES(?, ?)", common)
    run("CREATE TABLE sampled(trigram TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID")
    database.executemany("INSERT INTO sampled VALUES(?, ?)", of_sample.items())
    [[count]] = run("SELECT count(*) FROM declarations")
    run(f"PRAGMA user_version={FORMAT}")
    run("COMMIT")
    return count


class Index:
    """Searches a file that `build_index` wrote; from any thread. Raises BadIndex."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            self._database.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            [[version]] = self._database.execute("PRAGMA user_version")
            if version != FORMAT:
                raise BadIndex(f"{path} is an index of another version: remove it")
            [[self.count]] = self._database.execute("SELECT count(*) FROM declarations")
        except sqlite3.Error as error:
            raise BadIndex(f"{path} is no index of declarations ({error}): remove it") from error

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def search(self, text: str, limit: int = 10) -> list[Declaration]:
        """The best `limit` declarations for a query, the best first: parts of a name, words of
        names, types and docstrings, or a part of a type, in which one letter, `_` or `?x` stands
        for any term."""
        query = parse(text)
        with self._lock:
            scores = self._scores(query)
            found = self._rows(scores)
        ranked = sorted(found, key=lambda i: (-scores[i] - _merit(query, found[i]), i))
        return [found[i] for i in ranked[:limit]]

    def _scores(self, query: Query) -> dict[int, float]:
        """Of candidates, by id: what the order in which SQLite finds them says."""
        known = [word for word in query.words if self._is_indexed(word)]
        unknown = [word for word in query.words if word not in known]  # parts of words, perhaps
        scores = {i: 10 / (1 + place / 10) for place, i in enumerate(self._by_words(known))}
        others = [
            self._ids("SELECT id FROM declarations WHERE lower_name = ?", query.text.lower()),
            *map(self._by_letters, [query.letters, *unknown]),
            self._by_shape(query),
        ]
        return dict.fromkeys(itertools.chain(*others), 0.0) | scores

    def _is_indexed(self, word: str) -> bool:
        """No, if FTS5 takes one of its letters for a border: a phrase of parts is refused."""
        try:
            return bool(self._ids(f"{_MATCH} LIMIT 1", quoted([word])))
        except sqlite3.OperationalError:
            return False

    def _by_words(self, words: list[str]) -> list[int]:
        """With all of `words`; if there is none, with the rarest two thirds of them, and so on."""
        numbers = {word: self._number(word) for word in words}
        left = sorted(numbers, key=numbers.__getitem__)
        while left:
            sums = itertools.accumulate(numbers[word] for word in left)
            chosen = [w for w, visited in zip(left, sums) if visited <= MAX_VISITED] or left[:1]
            match = quoted(chosen)
            found = self._ids(f"{_MATCH} LIMIT {MAX_RANKED}", match)
            if CANDIDATES < len(found) < MAX_RANKED:
                ranked = f"{_MATCH} ORDER BY bm25(words, {_WEIGHTS}) LIMIT {CANDIDATES}"
                return self._ids(ranked, match)
            if len(found) == MAX_RANKED:
                named = self._ids(f"{_MATCH} LIMIT {CANDIDATES}", f"name: ({match})")
                return list(dict.fromkeys([*named, *found[:CANDIDATES]]))
            if found:
                return found
            left = left[: len(left) * 2 // 3]
        return []

    def _by_letters(self, wanted: str) -> list[int]:
        """Whose names hold the letters `wanted`. Every third three of them lead to candidates."""
        if len(wanted) < 3:
            return []
        rows = self._database.execute(
            "SELECT id, name FROM declarations WHERE id IN"
            f" (SELECT rowid FROM names WHERE names MATCH ? LIMIT {CANDIDATES}) ORDER BY id",
            [quoted(trigrams(wanted)[::3])],
        )
        return [i for i, name in rows if wanted in letters(name)]

    def _by_shape(self, query: Query) -> list[int]:
        """Whose types hold the query's fragments."""
        wanted = {t for fragment in query.fragments for t in trigrams(fragment.lower())}
        if not wanted:
            return []
        rare_first = sorted(wanted, key=lambda trigram: (self._sampled(trigram), trigram))
        rows = self._database.execute(
            "SELECT id, shape FROM declarations WHERE id IN"
            f" (SELECT rowid FROM shapes WHERE shapes MATCH ? LIMIT {SHAPES}) ORDER BY id",
            [quoted(rare_first[:TRIGRAMS])],
        )
        found = (i for i, of_type in rows if query.matches_shape(of_type))
        return list(itertools.islice(found, CANDIDATES))

    def _number(self, word: str) -> int:
        """How many declarations hold a word; COMMON for any number up to that."""
        found = self._ids("SELECT number FROM common WHERE word = ?", word)
        return found[0] if found else COMMON

    def _sampled(self, trigram: str) -> int:
        found = self._ids("SELECT number FROM sampled WHERE trigram = ?", trigram)
        return found[0] if found else 0

    def _rows(self, ids: Iterable[int]) -> dict[int, Declaration]:
        ids = list(ids)
        marks = ", ".join("?" * len(ids))
        rows = self._database.execute(
            f"SELECT id, name, signature, doc FROM declarations WHERE id IN ({marks})", ids
        )
        return {i: Declaration(*fields) for i, *fields in rows}

    def _ids(self, statement: str, *values: str) -> list[int]:
        return [i for [i] in self._database.execute(statement, values)]


def _merit(query: Query, found: Declaration) -> float:
    """What the texts themselves say about how well a declaration fits."""
    name, merit = found.name.lower(), -len(found.name) / 50
    wanted = query.text.lower()
    if name == wanted:
        merit += 100 + (found.name == query.text)
    elif name.endswith(f".{wanted}"):
        merit += 50
    elif query.letters and query.letters in letters(found.name):
        merit += 20
    if query.words:
        parts, joined = set(words(found.name)), letters(found.name)
        fits = (
            1.0 if w in parts else 0.6 if len(w) > 2 and w in joined else 0 for w in query.words
        )
        merit += 15 * sum(fits) / len(query.words)
    if query.fragments:
        of_type = shape(found.signature)
        if query.shape in of_type:
            merit += 40 - len(found.signature) / 50
        elif query.matches_shape(of_type):
            merit += 20 - len(found.signature) / 50
    return merit
