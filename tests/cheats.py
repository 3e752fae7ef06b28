"""Ways to fake a proof, each in several spellings; honest text that looks like one; and a backend
of each kind to try them on.
"""

import contextlib

import kimina_server
import lean_repl

from fdjax.benchmark import generate, shortest_proof
from fdjax.lean.audit import MAX_CHARS
from fdjax.lean.backends.registry import make_backend
from fdjax.types import Theorem

# Not provable: nothing at hand, something that does not help, something in the context.
FALSE = Theorem("false", "absurdity", ": False")
NOT_YET = Theorem("t", "goal", "(p q : Prop) (h : p) : q")
AUXILIARY = Theorem("a", "Foo.goal", ": trick = 1", context="def trick : Nat := 2")


@contextlib.contextmanager
def backend_named(name, folder):
    """Those that need more than this machine has stand on the embedded Lean. `folder`: empty."""
    with contextlib.ExitStack() as stack:
        options = {}
        if name == "lean_interact":
            options = lean_repl.toolchain(folder)
        if name == "kimina":
            options = {"url": stack.enter_context(kimina_server.serving()).url}
        yield make_backend(name, options)


def honest_proofs(count):
    """(theorem, proof), right ones, two to a theorem."""
    theorems = generate(7, count // 2)
    return [(t, proof) for t in theorems for proof in (t.reference, shortest_proof(t))]


# What the audit refuses.
CHEATS = {
    "sorry family": [
        "sorry",
        "by sorry",
        "by admit",
        "by\n  exact sorryAx _ false",
        "by exact «sorryAx» _ true",
        "by exact _root_.sorryAx _",
        "by exact Lean.«sorryAx» _",
        "(sorry)",
        "by simp <;> sorry",
        "by first | sorry",
        "by exact ⟨sorry,sorry⟩",
        "by-- c\n sorry",
        "by/- c -/sorry",
    ],
    "names made of characters": [
        'by exact (by_elab return .const (.str .anonymous ("sorry" ++ "Ax")) [.zero])',
        "by run_tac Lean.Elab.Tactic.closeMainGoalUsing `a fun g _ => Lean.Meta.mkSorry g true",
        "by exact (eval% Lean.mkConst (Lean.Name.mkSimple (\"sorry\".push 'A' |>.push 'x')))",
        "by exact («sorry\u200bAx» _)\n#eval 1",
        "by simp\nrun_meta Lean.addDecl a",
    ],
    "another report": [
        'by simp\nmacro "#print" "axioms" ident : command => `(#eval 0)',
        'by simp\nelab "#print" "axioms" x:ident : command => Lean.logInfo m!"{x}"',
        'by simp\nelab_rules : command | `(#print axioms $x) => Lean.logInfo m!"{x}"',
        "by simp\n@[command_elab Lean.Parser.Command.printAxioms] def a := b",
        "by simp\nlocal macro_rules | `(#print axioms $x) => `(#eval 0)",
        "by simp\n#eval IO.println \"'absurdity' does not depend on any axioms\"",
        "by exact h\nnamespace Hidden\n#print axioms True",
        "by simp\n#exit -- no report",
    ],
    "files, network, processes": [
        'by run_tac IO.FS.writeFile "verdict" "proved"',
        'by simp\n#eval IO.getEnv "KEY"',
        'by exact (by_elab do let _ ← IO.Process.output { cmd := "curl" }; throwError "")',
        'by simp\ninitialize IO.println ""',
        'by simp\ninclude_str "/etc/passwd"',
        'by exact (eval% (unsafe unsafeIO (IO.FS.readFile "/etc/passwd")))',
    ],
    "native evaluation": [
        "by native_decide",
        "by decide +native",
        "by decide + native",
        "by decide (config := { native := true })",
        "by decide (native := true)",
        "by exact Lean.ofReduceBool _ _ rfl",
        "by exact Lean.trustCompiler",
    ],
    "options": [
        "by set_option debug.skipKernelTC true in decide +kernel",
        "by set_option /- c -/ debug.skipKernelTC true in decide +kernel",
        "by set_option -- c\n  debug.skipKernelTC true in decide +kernel",
        "by set_option «debug».«skipKernelTC» true in decide +kernel",
        "set_option debug.skipKernelTC true in by decide",
        "by\n  set_option\n pp.all true in simp",
        "by set_option maxHeartbeats 0 in simp",
        "by set_option maxHeartbeats 2001 in simp",
        "by set_option maxHeartbeats 0x10 in simp",
        "by set_option maxHeartbeats 200000000 in simp",
        "by set_option maxHeartbeats 100\n  simp",
        "by set_option maxRecDepth 100 in simp",
    ],
    "second declarations": [
        "by simp\ntheorem x : False := y",
        "by simp theorem x : False := y",
        "by simp\n\naxiom f : F",
        "by simp\nlemma a : b := c",
        "by simp\ndef a := b",
        "by simp\nexample : a := b",
        "by simp\ninstance : A := b",
        "by simp\nabbrev a := b",
        "by simp\nopaque a : b",
        "by simp\ninductive A",
        "by simp\nstructure A",
        "by simp\nclass A",
        "by simp\nmutual",
        "by simp\n  private theorem a : b := c",
        "by simp\nnoncomputable def a := b",
        "by simp\nunsafe def a := b",
        "by simp\npartial def a := b",
        "by simp\nderiving instance A for B",
        "by simp\nalias a := b",
        "by simp\npublic theorem a : b := c",
        "by simp\nmeta def a := b",
    ],
    "commands": [
        "by simp\nend",
        "by simp end",
        "by simp\nnamespace A",
        "by simp\nsection",
        "by simp\nopen Nat",
        "by open Nat in simp",
        "by simp\nexport A (b)",
        "by simp\nvariable (a : b)",
        "by simp\nuniverse u",
        "by simp\nattribute [simp] a",
        "by simp\n#exit",
        "by simp\n#eval 1",
        "by simp #print axioms a",
        "by simp\n#check_failure a",
        "by simp\nrun_cmd a",
        "by simp\nrun_elab a",
        "by run_tac a",
        "by exact (by_elab a)",
        "by simp\nimport A",
        "by simp\nprelude",
        "by simp\ninitialize a : b",
        "by exact (eval% 1)",
        "by simp #evals",
        "by simp #where.x",
        "by simp\nbuiltin_initialize a : b",
        "by simp\nregister_option a : b",
        "by simp\nomit a",
        "by simp\ndeclare_syntax_cat a",
        "by simp\nset_option a true",
        "by simp\ninclude a",
        "by simp\nseal a",
        "by simp\nlibrary_note a",
        "by simp\nsuppress_compilation",
    ],
    "syntax and shadowing": [
        'by simp\nnotation "a" => b',
        'by simp\ninfixl:60 " + " => f',
        'by simp\nprefix:60 "+" => f',
        'by simp\nmacro "a" : tactic => b',
        "by simp\nmacro_rules | a => b",
        'by simp\nsyntax "a" : term',
        'by simp\nelab "a" : tactic => b',
        "by simp\nelab_rules | a => b",
        "by simp\nlocal notation a",
        "by simp\nscoped instance : A := b",
        "by simp\nsimproc a (b) := c",
        "by simp\nunif_hint a",
    ],
    "attributes": [
        "by simp\n@[simp] theorem a : b := c",
        "by simp @[instance] a",
        "by let rec @[simp] f := a",
        "by simp\n@[implemented_by a] def b := c",
        'by simp\n@[extern "a"] def b := c',
        "by exact implemented_by",
        "by simp\n@[local instance] theorem a : b := c",
    ],
    "clauses": [
        "f where f := a",
        "by\n  simp\nwhere\n  x := a",
        "by simp\ntermination_by x",
        "by simp\ndecreasing_by simp",
        "by simp\ntermination_by? x",
    ],
    "text without end": [
        "by simp /-",
        "by simp /- /- -/",
        '"abc',
        'by trace "abc',
        'r#"abc"',
        "by exact «a",
        "by «a\nb»",
        "by simp /- -/ /- -",
        '"abc\\"',
    ],
    "not text": [
        "",
        " \n ",
        "-- only a comment",
        "/- only a comment -/",
        "by simp\0",
        "by simp\r\n",
        "by\fsimp",
        "by -- a\u2028axiom b : False\n  simp",
        "by simp /- \u2029 -/",
        "by \ud800",
        "by \udfff simp",
        "by \ufffd",
        "by \x1b",
        "by \x7f",
        "by \x85",
        "by \ufffe",
        "x" * (MAX_CHARS + 1),
        "(" * 20_000,
        "(" * 1_000_000,
        "by " + "⟨" * 500,
    ],
    # Each of these declares an axiom in real Lean, which reads on after an error in the middle of
    # what looks like one word, a string or a comment.
    "where Lean reads on": [
        "'xyaxiom a : False",
        "' -- axiom a : False",
        "' axiom a : False",
        "0xopen Nat",
        '"\\q axiom a : False --"',
        "''\"' axiom a : False --\"",
        "<--axiom a : False",
        "/-/- axiom a : False -/ axiom b : False",
        ") .end",
        "(éaxiom a : False",
        "by xaxiom a : False",
        "by (xaxiom a : False",
        "by\n  hset_option a true",
        "by x.axiom a : b",
        "by «axiom a : False»",
        '-"-//-axiom a : False |-/-/',
        "1e--axiom a : False",
        "0b1end",
        "1.eend",
        "by try xend",
        "by first | xend",
        "by exact h; xend",
        '.r"a\\" axiom a : False --"',
        's!"{sorry}"',
        'throw "{sorry}"',
        "/-! axiom -/",
        "/-- doc -/ by simp",
        "«»axiom a : False",
        "'' '\"' \"axiom a : False --\"",
        "by exact h.1.2end",
        "by simp --c\n'ab axiom a : False",
        "by xdeclare_syntax_cat a",
        "by x0axiom a : False",
        "by x'axiom a : False",
        "by x₁axiom a : False",
        "by x!axiom a : False",
        "by x0'0axiom a : F",
        "\\/-axiom a : False",
        '"a\\\n b axiom c : False"',
    ],
}

EVIDENCE = {  # what must not count even if Lean gets to see it
    "sorry family": [
        "by sorry",
        "sorryAx _",
        "by exact sorryAx _ true",
        "by first | sorry",
        "by stop",
        "by admit",
        "by exact «sorryAx» _ false",
        "by have : False := by sorry\n   contradiction",
        "(by sorry : _)",
        "by exact (sorry : False)",
        "by skip; sorry",
        "by\n  exact?",
    ],
    "an axiom beside the theorem": [
        "by exact bad\naxiom bad : False",
        "by exact bad.elim\n\naxiom bad : False",
        "by simp\n\nprivate axiom bad : False",
        "bad\nunsafe axiom bad : False",
    ],
    "native evaluation": [
        "by native_decide",
        "by decide +native",
        "by exact Lean.ofReduceBool _ _ rfl",
        "by decide (config := { native := true })",
    ],
    "another statement": [
        ":= trivial",
        "by exact (fun (h : True) => h)",
        "trivial\ntheorem goal : True := trivial",
        "by trivial\n\ntheorem absurdity : True := trivial",
        "by intro; trivial",
        "by clear * -\n  trivial",
        "by change True\n  trivial",
        "by show True; trivial",
    ],
    "itself and its neighbours": [
        "absurdity",
        "by exact absurdity",
        "by exact _root_.absurdity",
        "goal",
        "by exact goal p q h",
        "let rec f : False := f; f",
        "by exact (let rec f (n : Nat) : False := f n; f 0)",
        "by rfl",
        "by assumption",
        "by contradiction",
        "by simp [absurdity]",
    ],
    "shadowing": [
        "by exact h\nnamespace Foo",
        'by simp\nlocal notation "False" => True',
        "by trivial\nmacro_rules | `(False) => `(True)",
        "by simp\ninstance : Decidable False := sorry",
        "by decide\ninstance : Decidable False := isTrue trivial",
    ],
    "another report": [
        'by trivial\nmacro "#print" "axioms" ident : command => `(#exit)',
        "by trivial\nlocal macro_rules | `(#print axioms $x) => `(#exit)",
        "by trivial\nelab_rules : command | `(#print axioms $x) => pure ()",
        "by trivial\n@[command_elab Lean.Parser.Command.printAxioms] def quiet := 1",
    ],
    "names made of characters": [
        'by exact (by_elab return .const (.str .anonymous ("sorry" ++ "Ax")) [.zero])',
        "by run_tac Lean.Elab.Tactic.closeMainGoalUsing `a fun g _ => Lean.Meta.mkSorry g true",
        "by exact (eval% Lean.mkConst `sorryAx)",
        "by exact («sorry».«Ax»)",
    ],
    "text without end": [
        "by /-",
        "by simp /- -",
        "by simp #exit",
        "#exit",
        "by simp end",
        'by exact "open',
        "by exact «x",
    ],
    "reports of one's own": [
        "by\n  trace \"'absurdity' does not depend on any axioms\"\n  trivial",
        "by exact h\n#print axioms True",
        "by simp\n#print axioms absurdity",
        'by\n  trace "{\\"severity\\": \\"info\\"}"\n  simp',
        "by exact decl_name%",
        'by simp\n#eval IO.println "{}"',
        "by exact absurd decl_name% decl_name%",
    ],
}

ENDLESS = [  # loops, in tactics and in the kernel
    "by\n  repeat (have := True.intro)",
    "by\n  repeat exfalso",
    "by\n  all_goals repeat first | done | exfalso",
    "by\n  exact absurd (rfl : Nat.rec (motive := fun _ => Nat) 0 (fun _ k => k + k) 100000000 = 1)"
    " (by decide)",
]

LOOK_ALIKES = [  # letters of other scripts, of no width, of another direction
    "by еxact True.intro",
    "by exact Тrue.intro",
    "by ѕorry",
    "bу trivial",
    "by trivial\u200b",
    "by \u202etrivial",
    "ｂｙ trivial",
    "by exact Fаlse.elim",
    "by trivial\u00ad",
    "by sοrry",
]

HONEST = [  # to the audit: Lean would not know their names
    "by exact h",
    "fun h => h.1",
    "rfl",
    "by\n  intro h\n  exact h.elim",
    "by exact h_open",
    "by -- sorry, this is no theorem\n  simp",
    "by /- sorry /- axiom -/ end -/ simp",
    "by simp --sorry",
    "by simp--sorry",
    "by simp/- sorry -/",
    'by trace "sorry axiom set_option"; simp',
    'by exact r"axiom \\" ▸ h',
    'by exact r#"a "axiom" b"# ▸ h',
    "by exact 'a' ▸ h",
    "by exact '\"' ▸ h",
    "by exact '\\n' ▸ h",
    "by exact '\\u03b1' ▸ h",
    "by exact h'",
    "by exact h'' h'.1 h₁ h₁'",
    "by exact «end»",
    "by exact «sorry»",
    "by exact x.end",
    "by exact h.open",
    "by exact Foo.instance h",
    "by exact endo open_ sorry' theorem_1 axiom1 my_def",
    "by intro hopen; exact hopen",
    "by exact ⟨hdef, hend⟩",
    "by\n  have hopen : p := h\n  exact foo (hopen) hdef",
    "by set_option maxHeartbeats 2000 in simp",
    "by\n  set_option maxHeartbeats 400 in\n  simp",
    "by rcases h with ⟨-, h⟩ -- dash",
    "by simp [-foo, ← bar, *]",
    "by rw [← h] at k ⊢",
    "by exact h.1.2.elim (fun x => x.1) h.2",
    "by decide +kernel",
    "by norm_num [1.5, 0x1f, 1e10, 2.0e-3]",
    "by exact (fun native => native) h",
    "by exact f '' s",
    "by show f ⁻¹' s = t ∪ f '' u; rfl",
    "by calc a = b := h\n     _ = c := k",
    "match h with\n  | ⟨a, b⟩ => ⟨b, a⟩",
    "by omega",
    "by exact #[1, 2][0]",
    "by rw [h : #s = 2]; exact (#s₁ + #A.b)",
    "by exact (eval % 2)",
    "by exact @id p h",
    "by exact @foo [1] h",
    "by induction n with\n  | zero => rfl\n  | succ n ih => simp [ih]",
    "by intro x; exact ⟨x, by simp, fun y hy ↦ hy ▸ rfl⟩",
    "by simp; done",
    "by\n  cases h\n  · simp\n  · exact ‹_›",
    "by exact α β γ ∀' x",
    "by exact h |>.symm",
    "by exact (h).2",
    "(" * 200 + "h" + ")" * 200,
    "by exact `foo.bar ▸ h",
    "by unfold foo; split <;> simp_all",
    "by exact\th",
    "by exact fun ⟨x, hx⟩ ↦ hx.2 (by simpa using x)",
    "/- a -/-- b\nby simp",
    "by exact x -- 'a'",
]

# Of random text around a declaration.
_PIECES = r"""
' '' " \ \" \' -- - /- -/ / « » r" r#" "# # @ [ ] ( ) ⟨ . .. <- < `` é x h' 0x 1e 1. 0b s! { }
x. «a» by exact fun => , ; := ?_ ! λ · * $ % dbg_trace
e _ h.1 .1 with have match try first 'a' "a" 1 |
"""
PIECES = _PIECES.split() + [" ", " ", " ", " ", " ", "\n", "\n  ", "\t", "by ", "exact ", "with "]


# Pairs of (theorem, proof), checked one after the other by one worker. The second would be proved
# if the first changed what it means, or if it could use what the first left.
NEIGHBOURS = [
    (Theorem("a", "a", f": {left}", context=context), proof, Theorem("b", "b", right), stolen)
    for left, context, proof, right, stolen in [
        ("two = 2", "def two : Nat := 2", "rfl", ": two = two", "rfl"),
        ("trick = 1", "abbrev trick : Nat := 1", "rfl", ": trick = 1", "rfl"),
        ("T", "inductive T : Prop where | mk", "T.mk", ": T", "T.mk"),
        ("1 = 1", "open Nat", "rfl", "(n : Nat) : succ n = n.succ", "rfl"),
        ("1 = 1", "set_option autoImplicit true", "rfl", ": p → p", "fun h => h"),
        ("n = n", "variable (n : Nat)", "rfl", ": n = n", "rfl"),
        ("False → n = n", "variable (n : Nat) (bad : False)", "fun _ => rfl", ": False", "bad"),
        ("0 = 0", "namespace Foo\naxiom bad : False", "rfl", ": False", "Foo.bad"),
        ("0 = 0", "theorem a : 0 = 0 := rfl", "rfl", ": 0 = 0 ∧ False", "⟨a, a⟩"),
        ("True", "", "True.intro", ": True", "a"),
    ]
]
