"""Kernel replay by the embedded Lean: Lean's kernel checks every declaration of a compiled module,
and of the modules that it imports, again, into an environment that begins empty.

This is what `leanchecker --fresh` does in a Lean toolchain (Lean.Environment.replay); the wheel has
no such program, so the functions of libleanshared are called. No elaborator runs here; no syntax
and no extension of the module is loaded. It is run by its path with `python -I -S`, the arguments
LIBRARY MODULE, and LEAN_PATH set. It ends with 0 only if the kernel has accepted all of it.
"""

import ctypes
import sys
from typing import NoReturn

# Offsets in bytes from an object's start
_TAG = 7
_VALUE = 8  # a constructor's first field
_TEXT = 32  # a string's characters
# Numbers of constructors without fields
_LEAF = 1  # the empty search tree
_PRIVATE = 2  # OLeanLevel.private: all that a module holds


def main(path: str, module: str) -> int:
    lean = ctypes.CDLL(path)

    def call(name: str, *arguments):
        """The object that a function of Lean returns, by its C name; it owns the arguments."""
        function = lean[name]
        function.restype = ctypes.c_void_p
        return function(*(a if isinstance(a, bytes) else ctypes.c_void_p(a) for a in arguments))

    def result(io: int) -> int:
        """The value of an IO action; ends the process with Lean's error if it failed."""
        value = ctypes.c_void_p.from_address(io + _VALUE).value
        return value if ctypes.c_uint8.from_address(io + _TAG).value == 0 else refuse(value)

    def refuse(error: int) -> NoReturn:
        text = call("lean_io_error_to_string", error)
        sys.exit(ctypes.string_at(text + _TEXT).decode(errors="replace"))

    def array(*items: int) -> int:
        objects = call("l_Array_emptyWithCapacity___boxed", _box(0), _box(len(items)))
        for item in items:
            objects = call("lean_array_push", objects, item)
        return objects

    call("lean_initialize")
    result(call("lean_init_search_path"))
    call("lean_io_mark_end_initialization")
    call("lean_init_task_manager")
    name = call("l_Lean_Name_mkStr1", call("lean_mk_string", module.encode()))
    imported = call("l_Lean_instCoeNameImport___lam__0", name)
    no_options = ctypes.c_void_p.in_dll(lean, "l_Lean_Options_empty").value
    # trust level 0, no plugins; neither leaked nor with extensions
    settings = [_box(0), array(), _box(0), _box(0), _box(_PRIVATE), _box(_LEAF)]
    environment = result(
        call("l_Lean_importModules___boxed", array(imported), no_options, *settings)
    )
    constants = call("l_Lean_Environment_constants", environment)
    of_modules = ctypes.c_void_p.from_address(constants + _VALUE).value
    empty = result(call("l_Lean_mkEmptyEnvironment___boxed", _box(0)))
    result(call("l_Lean_Environment_replay", of_modules, empty))
    return 0


def _box(number: int) -> int:
    """A small number, or a constructor without fields, in Lean's representation of objects."""
    return number << 1 | 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
