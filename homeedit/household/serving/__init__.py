"""Answers for clients of the server: one worker, a fair queue, builds swapped between two answers."""
