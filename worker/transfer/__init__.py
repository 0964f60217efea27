"""Bytes on their way: from the object store, from other hosts within the tenant's quota, and into the store."""
