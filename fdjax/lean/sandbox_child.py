"""A Lean in a child process that can read Lean and do nothing else: it writes no files (or some, in
one folder), reaches no network, is nobody in particular, does not outlive its parent and cannot eat
the machine.

Run by its path with `python -I -S`, so it needs neither site-packages nor another module; and it
imports little, which would be most of its time. With the arguments that confined.py gives it
becomes the `lean` of a library, or a program; or it tries what protections there are, and tells the
others.
"""

import ctypes
import os
import resource
import struct
import sys

NOT_LOADED = 97  # exit code; lean itself ends with 0 or 1
_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/nix/store",
    "/etc/ld.so.cache",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/proc/self",
)
NOBODY = 65534
_FILE_SIZE = 256 << 20  # bytes of a file, where it may write
_DAC_OVERRIDE, _DAC_READ_SEARCH, _KILL = 1 << 1, 1 << 2, 1 << 5  # capabilities, as bits
_CAPABILITIES = struct.pack("Ii", 0x20080522, 0)  # version 3 of their interface; this process
_SIGKILL = 9
_IOLBF = 1  # of Linux and of macOS


def main(argv: list[str]) -> int:
    parent, memory, cpu = map(int, argv[:3])
    protections, readable, writable, kind, *what = argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        missing = _protect(libc, protections.split(","), readable.split(os.pathsep), writable)
        if kind == "try":
            for name, reason in missing.items():
                print(f"{name}\t{reason}")
            return 0
        if missing:
            raise OSError(f"a protection that was there before is gone: {missing}")
        _limit(libc, memory, cpu, _FILE_SIZE if writable else 0)
        if os.getppid() != parent:  # it died before it could be watched
            return 1
        if kind == "run":
            os.execv(what[0], what)
        return _lean(libc, *what)
    except (OSError, AttributeError, ValueError) as error:
        print(error, file=sys.stderr)
        return NOT_LOADED


def _limit(libc: ctypes.CDLL, memory: int, cpu: int, file_size: int) -> None:
    if sys.platform == "linux":
        if memory:
            # an address space this small is enough only with small stacks (-s), see the backend
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        libc.prctl(1, _SIGKILL)  # PR_SET_PDEATHSIG; a change of user would clear it
    if cpu:  # the soft limit's SIGXCPU says why it died; the hard limit's SIGKILL would not
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))  # pipes have none


def _lean(libc: ctypes.CDLL, library: str, *arguments: str) -> int:
    lean_main = ctypes.CDLL(library).lean_main
    # a line at a time, so that what Lean said before it had to be killed is not lost
    stdout = "stdout" if sys.platform == "linux" else "__stdoutp"
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, stdout), None, _IOLBF, 0)
    argv = [b"lean", *map(os.fsencode, arguments)]
    return lean_main(len(argv), (ctypes.c_char_p * (len(argv) + 1))(*argv, None))


def _protect(libc: ctypes.CDLL, protections: list[str], readable: list[str], writable: str) -> dict:
    """Takes on `protections`; protection -> why not, for those that cannot be had. Whatever they
    are, no power is left but to read, and that only where it is known what may be read."""
    if sys.platform != "linux":
        return dict.fromkeys(filter(None, protections), f"not on {sys.platform}")
    needed = [sys.base_prefix, *readable]
    missing, kept = {}, 0
    for name in filter(None, protections):
        try:
            match name:
                case "network":
                    _leave_network(libc)
                case "files":
                    version = _see_only(libc, (*_SYSTEM, *needed), writable)
                    kept = _power_to_read(libc, version)
                case "user":
                    _become_nobody(libc, kept, needed)
        except OSError as error:
            missing[name] = error.strerror or str(error)
    _keep_only(libc, kept)
    return missing


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _leave_network(libc: ctypes.CDLL) -> None:
    new_user, new_network = 0x10000000, 0x40000000
    _check(libc.unshare(new_network | (new_user if os.geteuid() else 0)))


def _power_to_read(libc: ctypes.CDLL, landlock: int) -> int:
    """The capability that root keeps, to read what Landlock lets it: a toolchain in its home. 0 for
    none, which is what others have."""
    permitted = _permitted(libc)
    # what may read all may also write: only from version 3 on does Landlock bar truncation
    return permitted & _DAC_READ_SEARCH or (permitted & _DAC_OVERRIDE if landlock >= 3 else 0)


def _become_nobody(libc: ctypes.CDLL, kept: int, needed: list[str]) -> None:
    """Only root does."""
    if os.geteuid():
        return
    if not _permitted(libc) & _KILL:
        raise OSError("this root may not kill what is not its own")
    os.setgroups([])
    if not kept and (hidden := _hidden_from_nobody(needed)):
        raise OSError(f"nobody but root can read {hidden}")
    _check(libc.prctl(8, 1, 0, 0, 0))  # PR_SET_KEEPCAPS
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _hidden_from_nobody(paths: list[str]) -> str | None:
    there = [path for path in paths if os.path.exists(path)]
    os.setegid(NOBODY)
    os.seteuid(NOBODY)  # for a moment: with it go root's powers, and come back
    hidden = [path for path in there if not os.access(path, os.R_OK, effective_ids=True)]
    os.seteuid(0)
    os.setegid(0)
    return hidden[0] if hidden else None


def _permitted(libc: ctypes.CDLL) -> int:
    """Root's capabilities, as bits of which three matter here; 0 for others."""
    held = ctypes.create_string_buffer(24)
    _check(libc.capget(_CAPABILITIES, held))
    return 0 if os.geteuid() else struct.unpack("6I", held)[1]


def _keep_only(libc: ctypes.CDLL, kept: int) -> None:
    """Drops all capabilities but `kept`, for good: no program that we become has others."""
    _check(libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS
    _check(libc.capset(_CAPABILITIES, struct.pack("6I", kept, kept, kept, 0, 0, 0)))
    if kept:
        # PR_CAP_AMBIENT_RAISE: a program that we become has it too
        _check(libc.prctl(47, 2, kept.bit_length() - 1, 0, 0))


def _see_only(libc: ctypes.CDLL, paths: tuple[str, ...], writable: str) -> int:
    """Landlock: from now on no file or folder but `paths` can be opened, and none for writing but
    in the folder `writable`. Returns its version."""
    create_ruleset, add_rule, restrict_self = 444, 445, 446  # numbers of the system calls
    version = _check(libc.syscall(create_ruleset, None, 0, 1))
    everything = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    execute, write, read, list_folder = 1, 2, 4, 8
    remove, make, truncate = 1 << 5, 1 << 8, (1 << 14) & everything  # of files
    attributes = struct.pack("Q", everything)
    rules = _check(libc.syscall(create_ruleset, attributes, len(attributes), 0))
    for path in filter(None, (*paths, writable)):
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not on this system
        allowed = execute | read | (list_folder if os.path.isdir(path) else 0)
        allowed |= write if path == "/dev/null" else 0
        allowed |= write | remove | make | truncate if path == writable else 0
        _check(libc.syscall(add_rule, rules, 1, struct.pack("=Qi", allowed, place), 0))
        os.close(place)
    _check(libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS
    _check(libc.syscall(restrict_self, rules, 0))
    os.close(rules)
    return version


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
