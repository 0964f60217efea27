"""Verdicts on untrusted teachers and datasets, and answers about networks, by a process that is shut in."""
