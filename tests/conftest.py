"""Eight simulated devices, and no silent broadcasting of ranks, in every test."""

import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
