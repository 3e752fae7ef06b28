"""The built-in benchmark: random theorems that have a proof, and an oracle that mends attempts.

`generate` and `splits` draw statements in six families: propositional and classical logic,
quantifiers, equality, natural numbers and induction. A statement is kept if no small model
refutes it and a search over tactics finds a proof, which becomes its reference.
`repair` is the oracle. It runs an attempt in a small tactic interpreter, keeps the longest prefix
whose goals the search can still prove, and completes it with the lines that share most tokens
with the attempt. `shortest_proof` is the search on the whole statement.

All of it is deterministic and needs no Lean. What it returns is nearly always right; Lean decides.
Modules, low to high: formulas; elaboration, rewriting, tactics, interpreter (a small Lean);
models, terms, moves, search (proof search); families, generator (theorems); repair.
"""

from fdjax.benchmark.generator import FAMILIES, generate, splits
from fdjax.benchmark.repair import Repair, repair, shortest_proof

__all__ = ["FAMILIES", "Repair", "generate", "repair", "shortest_proof", "splits"]
