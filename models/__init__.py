"""Weights: files, devices, number formats; no LSP, no monitors."""
