"""Backup and restore of everything that the service keeps, in a form that no database or object store owns.

A backup is a folder:

    manifest.json           written last: revision of the tables, rows, every object with size and sha256
    tables-<digest>.jsonl.gz  one line a row: [table, {column: value}], parents before their children
    objects/<key>           teachers, datasets, checkpoints, artifacts

It is consistent: all rows are of one transaction, and every object that they name is there with the digest they name.
It restores into either database and either object store, whatever it was made from, also by a newer Retort.
"""

from __future__ import annotations

from store.backup.manifest import BackupError, Manifest
from store.backup.restoring import check, restore
from store.backup.writing import backup

__all__ = ["BackupError", "Manifest", "backup", "check", "restore"]
