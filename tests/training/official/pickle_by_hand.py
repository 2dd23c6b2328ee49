"""Pieces of pickles written by hand, for what no pickler would write."""

import struct


def named(module: str, name: str, *rest: bytes) -> bytes:
    return b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n" + b"".join(rest)


def text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def array(shape: bytes, form: str = "f4", data: bytes = b"C\x04abcd") -> bytes:
    """An array of the given shape, written by hand."""
    return b"".join(
        (
            b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(",
            b"K\x01" + shape + b"cnumpy\ndtype\n" + text(form) + b"\x89\x88\x87R(K\x03",
            text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + data + b"tb.",
        )
    )
