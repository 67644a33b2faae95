"""Cost guard: the ledger that every dollar is reserved in before it is spent."""
