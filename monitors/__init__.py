"""Static analysis as constraints on the next token (issue: monitors); empty so far."""
