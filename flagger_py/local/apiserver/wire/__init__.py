"""Requests in Protocol Buffers: what kubectl sends where it creates an object from flags instead of from a file."""

from flagger_py.local.apiserver.wire.protobuf import decode_protobuf

__all__ = ["decode_protobuf"]
