"""Provable theorems with reference proofs, made at random; a tactic interpreter; repair."""

from fdjax.data.synthetic.generator import FAMILIES, generate, splits
from fdjax.data.synthetic.repair import Repair, repair, shortest_proof

__all__ = ["FAMILIES", "Repair", "generate", "repair", "shortest_proof", "splits"]
