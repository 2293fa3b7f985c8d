"""Examples that the demo and the documents complete; nothing here is part of the library."""
