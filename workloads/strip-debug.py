"""strip-debug.py MODULE: drops the DWARF sections of a WebAssembly module, in place.

zig's linker can drop either all custom sections or none. Names of functions are wanted (stack traces,
`wherry inspect`); the DWARF, nearly all of it wasi-libc's, is 40 times the program and not reproducible.
"""

import sys
from pathlib import Path

HEADER = 8  # magic and version


def leb128(data, at):
    """The unsigned LEB128 number at offset `at`, and the offset after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def is_dwarf(data, section_id, body):
    if section_id != 0:  # not a custom section
        return False
    length, at = leb128(data, body)
    return data[at : at + length].startswith(b".debug_")


def strip(data):
    kept, at = [data[:HEADER]], HEADER
    while at < len(data):
        size, body = leb128(data, at + 1)
        if not is_dwarf(data, data[at], body):
            kept.append(data[at : body + size])
        at = body + size
    return b"".join(kept)


module = Path(sys.argv[1])
module.write_bytes(strip(module.read_bytes()))
