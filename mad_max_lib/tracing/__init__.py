"""Reading torch networks: what each nonlinear call chose, and what follows from it."""
