"""Jobs on several hosts of a Ray cluster (docs/execution.md, decision 0035). Ray is loaded by processes of their own."""
