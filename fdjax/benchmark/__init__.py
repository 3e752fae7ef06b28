"""Provable theorems with reference proofs, made at random; a tactic interpreter; repair."""

from fdjax.benchmark.generator import FAMILIES, generate, splits
from fdjax.benchmark.repair import Repair, repair, shortest_proof

__all__ = ["FAMILIES", "Repair", "generate", "repair", "shortest_proof", "splits"]
