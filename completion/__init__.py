"""Decoding: knows token ids and tensors; no files, no sockets, no editor."""
