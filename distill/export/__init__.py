"""Files of a finished run, one exporter a module: `export(context, folder)` writes them all, or says why not.

An exporter module has `ENTRY(context, folder) -> list[Artifact]` and may raise `Skipped`.
"""

from __future__ import annotations

from distill.registry import Registry

registry = Registry(__name__, __path__, "exporter")
names, get, summary = registry.names, registry.get, registry.summary
