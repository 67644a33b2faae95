"""Negotiator: what several agents want of one deal, and the deal that proves itself. The solver is pure."""
