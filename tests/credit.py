"""Accepted solutions, and known wrong answers, of the exercises for credit, which have none in the library."""

SOLUTIONS = {}
WRONG = {}
