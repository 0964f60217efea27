"""Mechanics of the HTTP contract, the same for every resource: who asks, in what form, by what page, once or again."""
