"""Talks to editors and the command line: text, positions, settings; no tensors."""
