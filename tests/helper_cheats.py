"""Ways to fake a proof by what stands before the theorem, and honest helpers.

Each is a theorem, the helpers, and the proof.
"""

from cheats import AUXILIARY, FALSE, NOT_YET

from fdjax.types import Theorem

# False of Nat, true of the type that a helper could put in its place.
SHADOWED = Theorem(
    "shadowed",
    "Foo.shadowed",
    ": one fact",
    context=(
        "def one {α : Type} {p : α → Prop} (_ : ∀ a, p a) : Prop := ∀ a b : α, a = b\n\n"
        "theorem fact (n : Nat) : n = n := rfl"
    ),
)
SWAP = Theorem("swap", "swap", "(p q : Prop) (h : p ∧ q) : q ∧ p")
_FACT = "fact (n : PUnit.{1}) : n = n := rfl"
_ONE = "fun _ _ => rfl"

HELPER_EVIDENCE = {  # what must not count even if Lean gets to see it
    "no proofs": [
        (FALSE, "theorem a : False := sorry", "a"),
        (FALSE, "theorem a : False := by sorry", "by exact a"),
        (FALSE, "theorem a : False := sorryAx _", "a"),
        (FALSE, "axiom a : False", "a"),
        (FALSE, "theorem b : True := trivial\naxiom a : False", "a"),
        (FALSE, "theorem a : 1 = 2 := by decide +native", "absurd a (by decide)"),
        (FALSE, "theorem a : False := by nonsense", "a"),
        (FALSE, "theorem a : False :=", "a"),
        (FALSE, "theorem a : False", "a"),
        (FALSE, "theorem", "a"),
        (FALSE, "theorem a", "a"),
        (FALSE, "theorem a : True := trivial", "a"),
        (SWAP, "theorem a : True := nope", "⟨h.2, h.1⟩"),
    ],
    "circles": [
        (FALSE, "theorem absurdity : False := absurdity", "absurdity"),
        (FALSE, "theorem a : False := a", "a"),
        (FALSE, "theorem a : False := b\ntheorem b : False := a", "b"),
        (FALSE, "mutual\ntheorem a : False := b\ntheorem b : False := a\nend", "a"),
        (FALSE, "theorem a (n : Nat) : False := a (n + 1)", "a 0"),
        (FALSE, "theorem a (n : Nat) : False := a n\ntermination_by n", "a 0"),
        (FALSE, "theorem a (n : Nat) : False := a (n + 1)\ndecreasing_by sorry", "a 0"),
        (FALSE, "unsafe theorem a : False := a", "a"),
        (FALSE, "partial theorem a : False := a", "a"),
        (FALSE, "theorem a : False := absurdity", "a"),
    ],
    "shadows": [
        (SHADOWED, f"theorem {_FACT}", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}", _ONE),
        (SHADOWED, f"theorem Foo.Foo.{_FACT}", _ONE),
        (SHADOWED, f"theorem «Foo».{_FACT}", _ONE),
        (SHADOWED, f"private theorem Foo.{_FACT}", _ONE),
        (SHADOWED, f"protected theorem {_FACT}", _ONE),
        (SHADOWED, f"namespace Foo\ntheorem {_FACT}\nend Foo", _ONE),
        (SHADOWED, f"section\ntheorem {_FACT}\nend", _ONE),
        (FALSE, "theorem False : True := trivial", "False"),
        (FALSE, "theorem False : True := trivial", "trivial"),
        (AUXILIARY, "theorem Foo.trick : 1 = 1 := rfl", "rfl"),
        (AUXILIARY, "def Foo.trick : Nat := 1", "rfl"),
        (AUXILIARY, "abbrev Foo.trick := 1", "rfl"),
        (AUXILIARY, "theorem Nat.add_zero : True := trivial", "Nat.add_zero"),
        (NOT_YET, "theorem goal (p q : Prop) (h : p) : p := h", "goal p q h"),
        (NOT_YET, "theorem a {q : Prop} (h : q) : q := h", "a h"),
    ],
    "universes": [
        (FALSE, "theorem a.{u} : False := a.{u+1}", "a.{0}"),
        (FALSE, "theorem a.{u} (α : Type u) : False := a (Type u)", "a Nat"),
        (FALSE, "theorem a : (Type : Type) = Type := rfl", "a"),
    ],
    "look-alikes": [
        (FALSE, "theоrem a : False := a", "a"),
        (FALSE, "ахiom a : False", "a"),
        (FALSE, "theorem a : Fаlse := a", "a"),
        (FALSE, "axi\u200bom a : False", "a"),
    ],
    "leaving the namespace": [
        (SHADOWED, f"theorem Foo.{_FACT}\ntheorem", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}\ntheorem a : True := by", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}\ntheorem a : True := trivial '", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}\nset_option maxHeartbeats 400 in /- -/", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}\nopen Nat in", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}\nopen Foo in /- -/", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}\nsection", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}\nnamespace Bar", _ONE),
        (SHADOWED, f"theorem Foo.{_FACT}\n/-", f"-/ {_ONE}"),
    ],
}
HELPER_CHEATS = {  # what only the audit can refuse, besides these
    "shadows": [
        (SHADOWED, f"theorem _root_.Foo.{_FACT}", _ONE),
        (SHADOWED, f"theorem «_root_».Foo.{_FACT}", _ONE),
        (SHADOWED, f"theorem /- c -/ _root_.Foo.{_FACT}", _ONE),
        (SHADOWED, f"theorem _root_\n.Foo.{_FACT}", _ONE),
        (SHADOWED, "theorem Foo.fact._hyg (n : PUnit.{1}) : n = n := rfl", _ONE),
        (SHADOWED, "theorem Foo.fact.«_@».a._hyg (n : PUnit.{1}) : n = n := rfl", _ONE),
        (SHADOWED, "theorem _private.Foo.fact (n : PUnit.{1}) : n = n := rfl", _ONE),
        (SHADOWED, f"theorem a : True := trivial\nlemma _root_.Foo.{_FACT}", _ONE),
        (AUXILIARY, 'notation "trick" => 1', "rfl"),
        (AUXILIARY, 'local notation "trick" => 1', "rfl"),
        (AUXILIARY, "theorem a : True := trivial\nmacro_rules | `(trick) => `(1)", "rfl"),
        (AUXILIARY, 'macro "trick" : term => `(1)', "rfl"),
        (AUXILIARY, 'infix:50 " = " => Nat.le', ""),
        (AUXILIARY, "theorem a : True := trivial\nopen Bar", "rfl"),
        (AUXILIARY, "theorem a : True := trivial\nopen Bar\nBaz in", "rfl"),
        (AUXILIARY, "theorem a : True := by simp\n  hdef Foo.trick : Nat := 1", "rfl"),
        (AUXILIARY, "theorem a : True := trivial\nvariable (trick : Nat)", "rfl"),
        (AUXILIARY, "theorem a : True := trivial\nend helpers\ndef Foo.trick := 1", "rfl"),
        (AUXILIARY, "theorem a : True := trivial\nexport Foo (trick)", "rfl"),
        (AUXILIARY, "theorem a : True := trivial\ninstance : OfNat Nat 1 := ⟨2⟩", "rfl"),
        (AUXILIARY, "@[instance] theorem a : True := trivial", "rfl"),
        (
            AUXILIARY,
            "theorem a : True := trivial\n@[simp] theorem b : (1 = 2) = True := sorry",
            "rfl",
        ),
        (AUXILIARY, "theorem a : True := trivial\nattribute [simp] a", "rfl"),
        (AUXILIARY, "theorem a : True := trivial\ndef trick : Nat := 1", "rfl"),
        (AUXILIARY, "theorem a : True := trivial\ndef trick : Nat := 2 - 1", "rfl"),
        (AUXILIARY, "theorem a : True := trivial\ndef trick : Nat := 2\ndef Foo.trick := 1", "rfl"),
    ],
    "unchecked": [
        (
            FALSE,
            "set_option debug.skipKernelTC true in\ntheorem a : 1 = 2 := by decide +kernel",
            "absurd a (by decide)",
        ),
        (
            FALSE,
            "theorem a : 1 = 2 := set_option debug.skipKernelTC true in by decide +kernel",
            "absurd a (by decide)",
        ),
        (FALSE, "theorem a : True := by\n  run_tac Lean.addDecl a", "a"),
        (FALSE, "theorem a : True := trivial\nrun_cmd Lean.addDecl a", "a"),
        (FALSE, "theorem a : True := trivial\n#eval 1", "a"),
        (FALSE, "theorem a := by xaxiom b : False", "b"),
        (FALSE, "theorem a : True := 'xyaxiom b : False", "b"),
        (FALSE, 'theorem a : True := by exact trivial\nelab "b" : term => c', "b"),
    ],
}
HELPER_HONEST = [
    (SWAP, "theorem snd (p q : Prop) (h : p ∧ q) : q := h.2", "⟨snd p q h, h.1⟩"),
    (
        SWAP,
        "/-- Why not. -/\ntheorem snd {p q : Prop} (h : p ∧ q) : q := by\n  exact h.2\n\n"
        "-- and this\ntheorem both {p q : Prop} (h : p ∧ q) : q ∧ p := ⟨snd h, h.1⟩\n\n/-- Ours -/",
        "by\n  exact both h",
    ),
    (
        SWAP,
        "set_option maxHeartbeats 400 in\ntheorem snd {p q : Prop} (h : p ∧ q) : q := h.2\n"
        "set_option maxHeartbeats 400 in\n@[simp] private",
        "⟨snd h, h.1⟩",
    ),
    (SWAP, "theorem And.swap' {p q : Prop} : p ∧ q → q ∧ p\n  | ⟨a, b⟩ => ⟨b, a⟩", "And.swap' h"),
    (SWAP, "theorem unused : True := trivial", "by\n  obtain ⟨a, b⟩ := h\n  exact ⟨b, a⟩"),
    (
        SWAP,
        "theorem Nat.add_comm : True := trivial\ntheorem swap' : True := Nat.add_comm",
        "have := swap'; ⟨h.2, h.1⟩",
    ),
    (
        Theorem("n", "zero_plus", "(n : Nat) : 0 + n = n"),
        "theorem left : ∀ n : Nat, 0 + n = n\n  | 0 => rfl\n"
        "  | n + 1 => by rw [Nat.add_succ, left n]",
        "left n",
    ),
    (
        Theorem("o", "opened", "(n : Nat) : succ n = n + 1", context="open Nat in"),
        "theorem a (n : Nat) : succ n = n + 1 := rfl",
        "a n",
    ),
    (
        Theorem("c", "Foo.goal", ": two = 2", context="def two : Nat := 2"),
        "def two : Nat := 2\n\ntheorem Foo.a : two = 2 := rfl",
        "Foo.a",
    ),
    (
        Theorem("r", "again", ": two = succ 1", context="open Nat\n\ndef two : Nat := 2"),
        "theorem a : two = 2 := rfl\n\nopen Nat\n\ntheorem b : 2 = succ 1 := rfl\n\n"
        "open Nat\n\n/-- 2 -/\ndef two : Nat := 2",
        "a.trans b",
    ),
    (
        Theorem("i", "again", "(n : Nat) : succ n = n + 1", context="open Nat in"),
        "theorem a (n : Nat) : succ n = n + 1 := rfl\n\nopen Nat in\n"
        "theorem b (n : Nat) : succ n = n + 1 := a n\n\nopen Nat in",
        "b n",
    ),
    (
        Theorem("u", "Foo.u", ".{u, v} {α : Type u} (β : Type v) (a : α) : a = a"),
        "theorem fact.{w} {α : Sort w} (a : α) : a = a := rfl",
        "fact a",
    ),
    (
        Theorem("s", "s", "{α : Sort _} (a b : α) (h : a = b) : b = a"),
        "theorem fact {p : Prop} (h : p) : p := h",
        "fact h.symm",
    ),
    (
        Theorem(
            "v",
            "v",
            "(a b : α) : a = b ∨ p",
            context="variable {α : Type} [DecidableEq α] (p : Prop) (h : p)\ninclude h",
        ),
        "theorem fact : True := trivial",
        "Or.inr h",
    ),
    (
        Theorem("m", "m", "(n : Nat) : match n with | 0 => True | _ + 1 => True"),
        "theorem fact : True := trivial",
        "by cases n <;> exact fact",
    ),
]


def with_helpers(theorem, helpers, proof):
    """As a model writes it; its context once more is no helper."""
    return f"{helpers}\n\ntheorem {theorem.name} {theorem.signature} := {proof}"
