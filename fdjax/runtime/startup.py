"""What is set before a program starts JAX."""

import ctypes

from fdjax.runtime.files import cache_folder

# Options of glibc's malloc.h and their values here.
_MALLOC = {
    -8: 1,  # M_ARENA_MAX: one heap for all threads
    -4: 0,  # M_MMAP_MAX: no block has a mapping of its own
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: bytes that are kept at the end of the heap
}


def keep_freed_memory() -> None:
    """Lets this process use freed memory again without giving it back to the operating system.

    On a CPU, XLA allocates the temporaries of each execution anew. Their page faults took a
    quarter of the CPU time of supervised learning in `make run`. To be called before threads
    start. Does nothing where the C library is not glibc.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    for option, value in _MALLOC.items() if set_option else ():
        set_option(option, value)


def keep_compiled_programs() -> None:
    """Lets JAX find the programs of earlier processes in the user's cache, in place of compiling
    them again. JAX_COMPILATION_CACHE_DIR names another folder; JAX_ENABLE_COMPILATION_CACHE=0 turns
    it off.
    """
    import jax

    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "programs"))
