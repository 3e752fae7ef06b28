"""`lean` in a child process that cannot write files, outlive its parent, or eat the machine.

Run by its path with `python -I -S`, so it needs neither site-packages nor another module:
`confined.py PARENT MEMORY_BYTES CPU_SECONDS LIBLEANSHARED lean-arguments...`
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_IOLBF = 1  # of Linux and of macOS
NOT_LOADED = 97  # lean itself ends with 0 or 1


def main(argv: list[str]) -> int:
    parent, memory, cpu, library = int(argv[0]), int(argv[1]), int(argv[2]), argv[3]
    libc = ctypes.CDLL(None)
    if sys.platform == "linux":
        # an address space this small is enough only with small stacks (-s), see the backend
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be watched
        return 1
    # the soft limit's SIGXCPU says why it died; the hard limit's SIGKILL would not
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # of files; pipes have no size
    try:
        lean_main = ctypes.CDLL(library).lean_main
        # a line at a time, so that what Lean said before it had to be killed is not lost
        stdout = "stdout" if sys.platform == "linux" else "__stdoutp"
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, stdout), None, _IOLBF, 0)
    except (OSError, AttributeError, ValueError) as error:
        print(error, file=sys.stderr)
        return NOT_LOADED
    arguments = [b"lean", *map(os.fsencode, argv[4:])]
    return lean_main(len(arguments), (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
