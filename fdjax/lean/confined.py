"""A Lean in a child process that cannot write files, outlive its parent, or eat the machine.

Run by its path with `python -I -S`, so it needs neither site-packages nor another module:
`confined.py PARENT MEMORY_BYTES CPU_SECONDS lean LIBLEANSHARED lean-arguments...` becomes the
`lean` of that library, `confined.py ... run PROGRAM arguments...` the program. 0: no such limit.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_IOLBF = 1  # of Linux and of macOS
NOT_LOADED = 97  # lean itself ends with 0 or 1


def command(memory: int, cpu_seconds: int, *what: str) -> list[str]:
    """The command line that runs `what` ("lean", library, ... or "run", program, ...) confined.

    It is killed when the thread that started it ends.
    """
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), str(memory),
            str(cpu_seconds), *what]


def main(argv: list[str]) -> int:
    parent, memory, cpu, kind, program, *arguments = *map(int, argv[:3]), *argv[3:]
    libc = ctypes.CDLL(None)
    if sys.platform == "linux":
        if memory:
            # an address space this small is enough only with small stacks (-s), see the backend
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be watched
        return 1
    if cpu:  # the soft limit's SIGXCPU says why it died; the hard limit's SIGKILL would not
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # of files; pipes have no size
    try:
        if kind == "run":
            os.execv(program, [program, *arguments])
        return _lean(libc, program, arguments)
    except (OSError, AttributeError, ValueError) as error:
        print(error, file=sys.stderr)
        return NOT_LOADED


def _lean(libc: ctypes.CDLL, library: str, arguments: list[str]) -> int:
    lean_main = ctypes.CDLL(library).lean_main
    # a line at a time, so that what Lean said before it had to be killed is not lost
    stdout = "stdout" if sys.platform == "linux" else "__stdoutp"
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, stdout), None, _IOLBF, 0)
    argv = [b"lean", *map(os.fsencode, arguments)]
    return lean_main(len(argv), (ctypes.c_char_p * (len(argv) + 1))(*argv, None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
