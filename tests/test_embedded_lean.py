"""Embedded Lean: its syntax and tactics, its soundness, and its messages."""

import bisect
import json
import math
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fdjax.lean.backend import BackendUnavailable
from fdjax.lean.backends.embedded import prelude, process

DATA = Path(__file__).parent / "data"
THEOREMS = DATA / "embedded_theorems.lean"  # an entry for each notation and tactic
LEMMAS = DATA / "embedded_lemmas.lean"  # and for each lemma of core
HEADER = "prelude\nimport FdPrelude\n"

# Names that Lean's kernel computes by itself. One that the prelude did not own could be defined
# wrongly, and the kernel would then prove False.
ACCELERATED = (
    "Nat.add Nat.sub Nat.mul Nat.div Nat.mod Nat.gcd Nat.beq Nat.ble Nat.land Nat.lor Nat.xor"
    " Nat.shiftLeft Nat.shiftRight Nat.pow Nat.log2 Nat.powMod Nat.succ Nat.zero Bool.true"
    " Bool.false Char.ofNat String.ofList List.nil List.cons eagerReduce"
)

try:
    process.shared_library()
except BackendUnavailable:
    pytestmark = pytest.mark.skip(reason="no wheel with Lean on this machine")


def entries(path: Path = THEOREMS) -> list[str]:
    """The theorems of a data file, each one's text."""
    blocks = re.split(r"\n\n+", path.read_text().strip())
    return [block for block in blocks if not block.startswith("--")]


def lean(text: str, folder: Path, *options: str) -> list[dict]:
    """Lean's messages for a file of this text after the header, lines counted from 1 in `text`."""
    path = folder / "Main.lean"
    path.write_text(HEADER + text)
    argv = process.lean_argv("--json", "-DmaxErrors=0", *options, str(path))
    done = subprocess.run(
        argv,
        env=process.lean_environment(prelude.ensure_prelude()),
        text=True,
        capture_output=True,
        timeout=500,
    )
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    for message in messages:
        message["pos"]["line"] -= HEADER.count("\n")
    return messages


def batch(items: list[str], folder: Path, *options: str) -> list[list[dict]]:
    """Messages of each item, all checked in one process."""
    starts, line = [], 1
    for item in items:
        starts.append(line)
        line += item.count("\n") + 2
    found = [[] for _ in items]
    for message in lean("\n\n".join(items) + "\n", folder, *options):
        found[bisect.bisect(starts, message["pos"]["line"]) - 1].append(message)
    return found


def axioms(text: str, name: str, folder: Path) -> set[str]:
    """The axioms that `#print axioms` lists for the theorem `name`; no error may occur."""
    messages = lean(f"{text}\n#print axioms {name}\n", folder)
    assert not [m["data"] for m in messages if m["severity"] == "error"]
    report = messages[-1]["data"]
    listed = re.search(r"depends on axioms: \[(.*)\]", report, re.DOTALL)
    assert listed or "does not depend on any axioms" in report
    return {name.strip() for name in listed[1].split(",")} if listed else set()


# ------------------------------------------------------------------------------- what works


def test_every_theorem_is_accepted(tmp_path):
    texts = entries(THEOREMS) + entries(LEMMAS)
    results = batch(texts, tmp_path)
    bad = {
        text: [m["data"] for m in messages]
        for text, messages in zip(texts, results)
        if any(m["severity"] == "error" or m["kind"] == "hasSorry" for m in messages)
    }
    assert not bad
    assert len(texts) > 600


def test_theorems_are_distinct_and_use_only_the_three_axioms(tmp_path):
    texts = entries(THEOREMS) + entries(LEMMAS)
    names = [re.match(r"theorem (\S+)", text)[1] for text in texts]
    assert len(set(names)) == len(names)
    messages = lean(
        "\n\n".join(texts) + "\n" + "".join(f"#print axioms {n}\n" for n in names), tmp_path
    )
    reports = [m["data"] for m in messages if "axioms" in m["data"]]
    assert len(reports) == len(names)
    used = {a for r in reports for a in re.findall(r"[\w.]+", r.partition("axioms: ")[2])}
    assert used <= {"propext", "Classical.choice", "Quot.sound"}


def test_false_statements_are_refused(tmp_path):
    false = [
        "theorem f1 : 2 + 2 = 5 := rfl",
        "theorem f2 (p q : Prop) (h : p ∨ q) : p := by cases h <;> assumption",
        "theorem f3 (p : Prop) : p := by simp",
        "theorem f4 : 2 + 2 = 5 := by decide",
        "theorem f5 (n : Nat) : n < n := by simp",
        "theorem f6 (a b : Nat) (h : a ≤ b) : b ≤ a := by simp_all",
        "theorem f7 : ∃ n : Nat, n < 0 := ⟨0, by decide⟩",
        "theorem f8 : (0 : Nat) = 1 := f8",
    ]
    assert all(any(m["severity"] == "error" for m in ms) for ms in batch(false, tmp_path))


def test_definitions_before_a_theorem(tmp_path):
    text = """
def half : Nat → Nat
  | 0 => 0
  | 1 => 0
  | n + 2 => half n + 1
theorem half_four : half 4 = 2 := by decide
theorem half_step (n : Nat) : half (n + 2) = half n + 1 := by simp [half]
inductive Tree | leaf | node (l r : Tree)
def Tree.size : Tree → Nat
  | leaf => 1
  | node l r => l.size + r.size
theorem size_pos (t : Tree) : 0 < t.size := by
  induction t with
  | leaf => decide
  | node l r ihl ihr => simp [Tree.size, ihl, Nat.add_pos_left]
structure Point where
  x : Nat
  y : Nat
theorem point (p : Point) (h : p = ⟨1, 2⟩) : p.x = 1 := by rw [h]
section
variable (q : Prop)
theorem by_variable (h : q) : q := h
end
open Classical in
theorem classical_if (p : Prop) : (if p then 1 else 1) = 1 := by simp
"""
    assert [m["data"] for m in lean(text, tmp_path)] == []


# --------------------------------------------------------------------------------- soundness


def test_all_that_the_kernel_computes_is_declared(tmp_path):
    names = ACCELERATED.split()
    messages = lean("".join(f"#check @{name}\n" for name in names), tmp_path)
    assert [m["data"] for m in messages if m["severity"] == "error"] == []


def test_the_kernel_computes_what_the_definitions_say(tmp_path):
    # the name itself is computed by the kernel; the function with a fuel behind it is unfolded
    rng = random.Random(0)
    checks = []
    for _ in range(40):
        a, b = rng.randrange(40), rng.randrange(12)
        checks += [
            ("Nat.add", a, b, a + b),
            ("Nat.sub", a, b, max(a - b, 0)),
            ("Nat.mul", a, b, a * b),
            ("Nat.div", a, b, a // b if b else 0),
            ("Nat.mod", a, b, a % b if b else a),
            ("Nat.land", a, b, a & b),
            ("Nat.lor", a, b, a | b),
            ("Nat.xor", a, b, a ^ b),
            ("Nat.gcd", a, b, math.gcd(a, b)),
            ("Nat.pow", a, b, a**b),
            ("Nat.shiftLeft", a, b, a << b),
            ("Nat.shiftRight", a, b, a >> b),
        ]
    unfolded = {
        "Nat.div": "Nat.div.go {b} {a} {a}",
        "Nat.mod": "Nat.modCore.go {b} {a} {a}",
        "Nat.land": "Nat.bitwise.go and {a} {a} {b}",
        "Nat.lor": "Nat.bitwise.go or {a} {a} {b}",
        "Nat.xor": "Nat.bitwise.go xor {a} {a} {b}",
        "Nat.gcd": "Nat.gcd.go {a} {a} {b}",
    }
    lines = []
    for name, a, b, value in checks:
        lines.append(f"example : {name} {a} {b} = {value} := by decide +kernel")
        if name in unfolded:
            term = unfolded[name].format(a=a, b=b)
            lines.append(f"example : {term} = {value} := by decide +kernel")
    for a in range(70):
        value = max(a.bit_length() - 1, 0)
        lines.append(f"example : Nat.log2 {a} = {value} := by decide +kernel")
        lines.append(f"example : Nat.log2.go {a} {a} = {value} := by decide +kernel")
    assert [m["data"] for m in lean("\n".join(lines), tmp_path)] == []


def test_no_way_around_the_axiom_report(tmp_path):
    assert axioms("theorem t : 1 = 2 := sorry", "t", tmp_path) == {"sorryAx"}
    assert axioms("theorem t : 1 = 2 := by admit", "t", tmp_path) == {"sorryAx"}
    native = lean("theorem t : 2 + 2 = 4 := by decide +native\n#print axioms t\n", tmp_path)
    assert any(m["severity"] == "error" for m in native) or "native" in native[-1]["data"]


def test_the_library_has_no_axiom_of_its_own():
    sources = Path(prelude.__file__).parent
    text = "".join((sources / f"{m}.lean").read_text() for m in prelude.MODULES)
    text = re.sub(r"/-.*?-/|--[^\n]*", "", text, flags=re.DOTALL)
    declared = re.findall(r"^[^\n]*\baxiom\s+(\S+)", text, re.MULTILINE)
    unsafe = re.findall(r"^unsafe axiom (\S+)", text, re.MULTILINE)
    own = set(declared) - set(unsafe)
    assert own == {"propext", "Classical.choice", "Quot.sound", "sorryAx"}
    assert "sorry" not in text.replace("sorryAx", "").replace("lean_sorry", "").replace(
        "tacticSorry", ""
    )


# ------------------------------------------------------------------------- messages are Lean's


def mutated(count: int, seed: int) -> list[str]:
    """`count` theorems with damaged proofs: tokens dropped, swapped or taken from other proofs."""
    rng = random.Random(seed)
    pairs = []
    for text in entries():
        if match := re.match(r"(theorem )(\S+)(.*?:=)(.*)\Z", text, re.DOTALL):
            pairs.append((match[3], match[4]))
    tokenise = re.compile(r"\n *|\w[\w.']*|:=|=>|<;>|[^\S\n]+|.").findall
    pool = [t for _, proof in pairs for t in tokenise(proof) if t.strip()]
    damaged = []
    for number in range(count):
        statement, proof = rng.choice(pairs)
        if rng.random() < 0.3:  # another theorem's proof
            proof = rng.choice(pairs)[1]
        tokens = tokenise(proof)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(tokens))
            kind = rng.randrange(4)
            if kind == 0:
                tokens[place] = ""
            elif kind == 1:
                tokens[place] = rng.choice(pool) + " "
            elif kind == 2:
                tokens[place] += " " + rng.choice(pool) + " "
            else:
                other = rng.randrange(len(tokens))
                tokens[place], tokens[other] = tokens[other], tokens[place]
        text = "".join(tokens)
        # whatever would open a comment or string or leave the theorem is another test's matter
        if re.search(r"/-|--|\"|\n\S|\n\s*\n", text):
            text = text.replace("/-", "").replace("--", "").replace('"', "")
            text = re.sub(r"\n\s*\n", "\n", re.sub(r"\n(?=\S)", "\n  ", text))
        damaged.append(f"theorem mutant_{number}{statement}{text.rstrip()}")
    return damaged


SUSPICIOUS = re.compile(
    r"internal exception|PANIC|panic|unreachable|_aux_|\bfd\b|\bFd[A-Z]|mkNoConfusion|AddConst"
    r"|\(kernel\) (?!declaration has metavariables)|failed to compile|not been declared"
    r"|does not have a|unknown free variable"
)
UNKNOWN = re.compile(
    r"[Uu]nknown (?:constant|identifier|declaration|attribute|parser|category|namespace)"
    r"[^`'\n]*[`']([^`'\n]+)[`']"
)


def strange(text: str, message: str) -> str | None:
    """The part of a message that ordinary Lean would not print: it shows that a name is missing."""
    if found := SUSPICIOUS.search(message):
        return found[0]
    for name in UNKNOWN.findall(message):
        # Lean may complete what the text says (`h.foo`, `.foo`), but not invent a name
        if name.split(".")[-1] not in text:
            return name
    return None


def scan(count: int, seed: int, folder: Path) -> list[tuple[str, str]]:
    texts = mutated(count, seed)
    results = batch(texts, folder, "-DmaxHeartbeats=4000")
    errors = sum(any(m["severity"] == "error" for m in ms) for ms in results)
    assert errors > count / 2
    return [
        (text, m["data"])
        for text, ms in zip(texts, results)
        for m in ms
        if strange(text, m["data"])
    ]


def test_messages_of_mutated_proofs(tmp_path):
    assert scan(600, 1, tmp_path) == []


@pytest.mark.slow
def test_messages_of_thousands_of_mutated_proofs(tmp_path):
    for seed in range(2, 8):
        assert scan(1000, seed, tmp_path) == []


def test_mismatches_are_explained_as_in_ordinary_lean(tmp_path):
    cases = {
        "theorem e1 (p : Prop) (h k : p) : p := by exact h k": "Function expected at",
        "theorem e2 (p q : Prop) (h : p) : q := h": "Type mismatch",
        "theorem e3 (p q : Prop) (f : p → q) (h : q) : q := f h": "Application type mismatch",
        "theorem e4 (p q : Prop) (h : p) : p ∧ q := by constructor": "unsolved goals",
        "theorem e5 (p : Prop) : p := foo": "Unknown identifier `foo`",
        "theorem e6 (a b : Nat) (h : a = b) : a = b := by rw [h.symm]; rfl": "",
        "theorem e7 : 1 = 2 := by decide": "is false",
        "theorem e8 (p : Prop) : p := by assumption": "Tactic `assumption` failed",
        "theorem e9 (n : Nat) : n = 0 := e9 n": "fail to show termination",
        (
            "theorem e11 (n : Nat) : n = n + 0 := by\n  cases n\n  · rfl\n  · exact e11 _"
        ): "failed to prove termination",
        (
            "theorem e12 (n m : Nat) : n + m = m + n := by\n  have := e12 (m + 1) n\n"
            "  exact e12 n m"
        ): "Could not find a decreasing measure",
        "theorem e13 (x : Nat) : x = 5 := by exact (1.5 : Nat)": "OfScientific Nat",
        "theorem e14 (x : Nat) : x = 5 := by exact (-1 : Nat)": "Neg Nat",
        "theorem e15 (a b : Nat) : a = b := by omega": "unknown tactic",
        "theorem e16 (p q : Prop) (h : p ∨ q) : p := h.1": "one-constructor inductive type",
        "theorem e17 (n : Nat) : n = 0 := by match n with | 0 => rfl": "Missing cases",
        "theorem e10 (p q : Prop) (h : p ∧ q) : r := h.3": "",
    }
    for (text, expected), messages in zip(cases.items(), batch(list(cases), tmp_path)):
        output = "\n".join(m["data"] for m in messages)
        assert expected in output and not strange(text, output), (text, output)


# ------------------------------------------------------------------------- library and process


def test_lean_argv_behaves_as_lean(tmp_path):
    (tmp_path / "A.lean").write_text("prelude\nimport FdPrelude\n#print axioms and_comm\n")
    done = subprocess.run(
        process.lean_argv(str(tmp_path / "A.lean")),
        text=True,
        capture_output=True,
        env=os.environ | {"LEAN_PATH": str(prelude.ensure_prelude())},
    )
    assert done.returncode == 0
    assert done.stdout == "'and_comm' does not depend on any axioms\n"


def test_many_processes_compile_at_once(tmp_path):
    code = "from fdjax.lean.backends.embedded import prelude; print(prelude.ensure_prelude())"
    env = os.environ | {"FDJAX_CACHE": str(tmp_path / "cache")}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    folders = {child.communicate()[0].strip() for child in started}
    assert all(child.returncode == 0 for child in started)
    (folder,) = folders
    assert {p.name for p in Path(folder).iterdir()} == {f"{m}.olean" for m in prelude.MODULES}
    assert os.listdir(Path(folder).parent) == [Path(folder).name]  # no scratch folder is left


def test_compile_errors_are_shown_and_leave_nothing(tmp_path, monkeypatch):
    (tmp_path / "Bad.lean").write_text("prelude\ntheorem oops : Type := nonsense\n")
    monkeypatch.setattr(prelude, "_SOURCES", tmp_path)
    monkeypatch.setattr(prelude, "MODULES", ("Bad",))
    monkeypatch.setenv("FDJAX_CACHE", str(tmp_path / "cache"))
    prelude.prelude_version.cache_clear()
    try:
        with pytest.raises(prelude.PreludeError, match=r"(?s)Bad did not compile.*nonsense"):
            prelude.ensure_prelude()
        assert os.listdir(tmp_path / "cache" / "lean") == []
    finally:
        prelude.prelude_version.cache_clear()


def test_version_follows_the_texts(tmp_path, monkeypatch):
    (tmp_path / "A.lean").write_text("prelude\n")
    monkeypatch.setattr(prelude, "_SOURCES", tmp_path)
    monkeypatch.setattr(prelude, "MODULES", ("A",))
    prelude.prelude_version.cache_clear()
    before = prelude.prelude_version()
    (tmp_path / "A.lean").write_text("prelude \n")
    prelude.prelude_version.cache_clear()
    after = prelude.prelude_version()
    prelude.prelude_version.cache_clear()
    assert before != after


def test_missing_wheel_names_the_alternatives(monkeypatch):
    monkeypatch.setattr(process, "WHEEL", "no_such_wheel")
    process.shared_library.cache_clear()
    try:
        with pytest.raises(BackendUnavailable) as caught:
            process.shared_library()
    finally:
        process.shared_library.cache_clear()
    for word in ("no_such_wheel", ".[embedded]", "glibc", "container"):
        assert word in str(caught.value)


def test_library_that_cannot_be_loaded(tmp_path, monkeypatch):
    broken = tmp_path / "libleanshared.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(process, "shared_library", lambda: str(broken))
    process.lean_version.cache_clear()
    try:
        with pytest.raises(BackendUnavailable, match="libleanshared"):
            process.lean_version()
    finally:
        process.lean_version.cache_clear()
