"""Webhooks out of the outbox: signed, guarded, tried again (docs/webhooks.md)."""
