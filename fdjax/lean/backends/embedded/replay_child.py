"""Kernel replay by the embedded Lean: every declaration of a compiled module, and of the modules
that it imports, once more through Lean's kernel into an environment that begins empty.

What `leanchecker --fresh` does in a Lean toolchain (Lean.Environment.replay), called through the
functions of libleanshared: the wheel holds no such program. No elaborator runs here, no syntax
and no extension of the module's is loaded. Run by its path with `python -I -S LIBRARY MODULE`,
with LEAN_PATH set; ends with 0 only if the kernel has accepted all of it.
"""

import ctypes
import sys
from typing import NoReturn

_VALUE = 8  # bytes from an object's start: of a constructor's first field
_TAG = 7
_TEXT = 32  # of a string's characters
_LEAF = 1  # of an empty search tree, a constructor without fields
_PRIVATE = 2  # of OLeanLevel: all that a module holds


def main(path: str, module: str) -> int:
    lean = ctypes.CDLL(path)

    def call(name: str, *arguments):
        """An object from a function of Lean's, by its C name; the arguments are given away."""
        function = lean[name]
        function.restype = ctypes.c_void_p
        return function(*(a if isinstance(a, bytes) else ctypes.c_void_p(a) for a in arguments))

    def result(io: int) -> int:
        """The value of an IO action that went well."""
        value = ctypes.c_void_p.from_address(io + _VALUE).value
        return value if ctypes.c_uint8.from_address(io + _TAG).value == 0 else refuse(value)

    def refuse(error: int) -> NoReturn:
        text = call("lean_io_error_to_string", error)
        sys.exit(ctypes.string_at(text + _TEXT).decode(errors="replace"))

    def array(*items: int) -> int:
        made = call("l_Array_emptyWithCapacity___boxed", _box(0), _box(len(items)))
        for item in items:
            made = call("lean_array_push", made, item)
        return made

    call("lean_initialize")
    result(call("lean_init_search_path"))
    call("lean_io_mark_end_initialization")
    call("lean_init_task_manager")
    name = call("l_Lean_Name_mkStr1", call("lean_mk_string", module.encode()))
    imported = call("l_Lean_instCoeNameImport___lam__0", name)
    no_options = ctypes.c_void_p.in_dll(lean, "l_Lean_Options_empty").value
    environment = result(
        call(  # trust level 0, no plugins; neither leaked nor with extensions
            "l_Lean_importModules___boxed",
            array(imported),
            no_options,
            _box(0),
            array(),
            _box(0),
            _box(0),
            _box(_PRIVATE),
            _box(_LEAF),
        )
    )
    constants = call("l_Lean_Environment_constants", environment)
    of_modules = ctypes.c_void_p.from_address(constants + _VALUE).value
    empty = result(call("l_Lean_mkEmptyEnvironment___boxed", _box(0)))
    result(call("l_Lean_Environment_replay", of_modules, empty))
    return 0


def _box(number: int) -> int:
    """A small number, or a constructor without fields, as Lean's objects have them."""
    return number << 1 | 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
