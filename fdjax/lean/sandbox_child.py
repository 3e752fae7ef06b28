"""A child process that can check proofs and do nothing else: it reads only what Lean needs, writes
no files (or only in one folder), has no network, runs as an unprivileged user, ends with its parent
and has limits on memory and CPU time.

It is run by its path with `python -I -S`, so it imports neither site-packages nor other modules of
fdjax; the few imports keep its start fast. With the arguments that sandbox.py gives, it becomes the
`lean` of a library, or a program; or it tries each protection and prints those it cannot have.
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
_FILE_SIZE = 256 << 20  # bytes of one file, where the child may write
_DAC_OVERRIDE, _DAC_READ_SEARCH, _KILL = 1 << 1, 1 << 2, 1 << 5  # capabilities, as bits
_CAPABILITIES = struct.pack("Ii", 0x20080522, 0)  # version 3 of their interface; this process
_SIGKILL = 9
_IOLBF = 1  # of Linux and of macOS


def main(argv: list[str]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if argv[0] == "lean":  # without a sandbox, for trusted files: see embedded/process.py
            return _lean(libc, *argv[1:])
        parent, memory, cpu = map(int, argv[:3])
        protections, readable, writable, kind, *program = argv[3:]
        missing = _protect(libc, protections.split(","), readable.split(os.pathsep), writable)
        if kind == "try":
            for name, reason in missing.items():
                print(f"{name}\t{reason}")
            return 0
        if missing:
            raise OSError(f"a protection that this system offered before is gone: {missing}")
        _limit(libc, memory, cpu, _FILE_SIZE if writable else 0)
        if os.getppid() != parent:  # it died before this process asked to be killed with it
            return 1
        if kind == "run":
            os.execv(program[0], program)
        return _lean(libc, *program)
    except (OSError, AttributeError, ValueError) as error:
        print(error, file=sys.stderr)
        return NOT_LOADED


def _limit(libc: ctypes.CDLL, memory: int, cpu: int, file_size: int) -> None:
    if sys.platform == "linux":
        if memory:
            # Lean fits into so small an address space only with small stacks (its option -s)
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        libc.prctl(1, _SIGKILL)  # PR_SET_PDEATHSIG; a change of user would clear it
    if cpu:  # the soft limit's SIGXCPU says why it died; the hard limit's SIGKILL would not
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))  # pipes have none


def _lean(libc: ctypes.CDLL, library: str, *arguments: str) -> int:
    lean_main = ctypes.CDLL(library).lean_main
    # buffered by line, so that a kill loses no message that Lean has printed
    stdout = "stdout" if sys.platform == "linux" else "__stdoutp"
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, stdout), None, _IOLBF, 0)
    argv = [b"lean", *map(os.fsencode, arguments)]
    return lean_main(len(argv), (ctypes.c_char_p * (len(argv) + 1))(*argv, None))


def _protect(libc: ctypes.CDLL, protections: list[str], readable: list[str], writable: str) -> dict:
    """Takes on `protections`; returns protection -> reason for those that cannot be had. In any
    case the process then has no capability left but to read files, and that one only if Landlock
    limits which."""
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
    """The capability that root keeps in order to read what Landlock allows, such as a toolchain in
    root's home; 0 (none) for other users. `landlock`: its version."""
    permitted = _permitted(libc)
    # DAC_OVERRIDE also lets it write: Landlock forbids truncation only from version 3 on
    return permitted & _DAC_READ_SEARCH or (permitted & _DAC_OVERRIDE if landlock >= 3 else 0)


def _become_nobody(libc: ctypes.CDLL, kept: int, needed: list[str]) -> None:
    """Changes the user from root to nobody; does nothing for another user."""
    if os.geteuid():
        return
    if not _permitted(libc) & _KILL:
        raise OSError("this root may not kill processes of other users")
    os.setgroups([])
    if not kept and (hidden := _hidden_from_nobody(needed)):
        raise OSError(f"nobody but root can read {hidden}")
    _check(libc.prctl(8, 1, 0, 0, 0))  # PR_SET_KEEPCAPS
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _hidden_from_nobody(paths: list[str]) -> str | None:
    """The first of `paths` that the user nobody cannot read. Only root can call this."""
    existing = [path for path in paths if os.path.exists(path)]
    os.setegid(NOBODY)
    os.seteuid(NOBODY)  # root's capabilities go with its user id and come back with it
    hidden = [path for path in existing if not os.access(path, os.R_OK, effective_ids=True)]
    os.seteuid(0)
    os.setegid(0)
    return hidden[0] if hidden else None


def _permitted(libc: ctypes.CDLL) -> int:
    """Root's permitted capabilities, as bits; 0 for other users."""
    held = ctypes.create_string_buffer(24)
    _check(libc.capget(_CAPABILITIES, held))
    return 0 if os.geteuid() else struct.unpack("6I", held)[1]


def _keep_only(libc: ctypes.CDLL, kept: int) -> None:
    """Drops all capabilities but `kept` for good, also for programs that this process becomes."""
    _check(libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS
    _check(libc.capset(_CAPABILITIES, struct.pack("6I", kept, kept, kept, 0, 0, 0)))
    if kept:
        # PR_CAP_AMBIENT_RAISE: a program that this process becomes has it too
        _check(libc.prctl(47, 2, kept.bit_length() - 1, 0, 0))


def _see_only(libc: ctypes.CDLL, paths: tuple[str, ...], writable: str) -> int:
    """Landlock: from now on only files and folders in `paths` can be opened, and for writing only
    those in the folder `writable`. Returns Landlock's version."""
    create_ruleset, add_rule, restrict_self = 444, 445, 446  # numbers of the system calls
    version = _check(libc.syscall(create_ruleset, None, 0, 1))
    everything = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    execute, write, read, list_folder = 1, 2, 4, 8
    remove, make, truncate = 1 << 5, 1 << 8, (1 << 14) & everything  # of files
    attributes = struct.pack("Q", everything)
    rules = _check(libc.syscall(create_ruleset, attributes, len(attributes), 0))
    for path in filter(None, (*paths, writable)):
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # it does not exist on this system
        allowed = execute | read | (list_folder if os.path.isdir(path) else 0)
        allowed |= write if path == "/dev/null" else 0
        allowed |= write | remove | make | truncate if path == writable else 0
        _check(libc.syscall(add_rule, rules, 1, struct.pack("=Qi", allowed, descriptor), 0))
        os.close(descriptor)
    _check(libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS
    _check(libc.syscall(restrict_self, rules, 0))
    os.close(rules)
    return version


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
