"""Static analysis as constraints on the next token; so far only masks from names."""
