"""The names in compiled modules, and their docstrings, as the embedded Lean reads them.

It is run by its path with `python -I -S`, the arguments LIBRARY and files of modules, and prints
a JSON line [parts of the name, docstring] for each declaration. The files are ours, and trusted.
"""

import ctypes
import json
import sys

# Offsets in bytes from an object's start, in Lean's representation of objects
_TAG = 7
_FIELDS = 8  # of a constructor
_SIZE, _ELEMENTS = 8, 24  # of an array
_TEXT = 32  # a string's characters
# Fields of Lean's ModuleData
_NAMES, _ENTRIES = 1, 4


def main(path: str, *files: str) -> int:
    lean = ctypes.CDLL(path)

    def call(name: str, *arguments):
        function = lean[name]
        function.restype = ctypes.c_void_p
        return function(*(a if isinstance(a, bytes) else ctypes.c_void_p(a) for a in arguments))

    call("lean_initialize")
    call("lean_io_mark_end_initialization")
    for file in files:
        read = call("l_Lean_readModuleData___boxed", call("lean_mk_string", file.encode()))
        if ctypes.c_uint8.from_address(read + _TAG).value:  # an error
            print(f"{file} is no compiled module", file=sys.stderr)
            return 1
        module = _field(_field(read, 0), 0)
        docs = {}
        for extension in _elements(_field(module, _ENTRIES)):
            if _name(_field(extension, 0)) == ["Lean", "docStringExt"]:
                entries = _elements(_field(extension, 1))
                docs = {str(_name(_field(e, 0))): _text(_field(e, 1)) for e in entries}
        for name in map(_name, _elements(_field(module, _NAMES))):
            print(json.dumps([name, docs.get(str(name), "")]))
    return 0


def _field(constructor: int, number: int) -> int:
    return ctypes.c_void_p.from_address(constructor + _FIELDS + 8 * number).value


def _elements(array: int) -> list[int]:
    size = ctypes.c_size_t.from_address(array + _SIZE).value
    return list((ctypes.c_void_p * size).from_address(array + _ELEMENTS))


def _text(string: int) -> str:
    return ctypes.string_at(string + _TEXT).decode()


def _name(name: int) -> list[str | int]:
    parts: list[str | int] = []
    while not name & 1:  # Name.anonymous, a constructor without fields, is a number
        last, of_text = _field(name, 1), ctypes.c_uint8.from_address(name + _TAG).value == 1
        parts.append(_text(last) if of_text else last >> 1)
        name = _field(name, 0)
    return parts[::-1]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
