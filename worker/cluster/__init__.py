"""Jobs on several hosts of a Ray cluster (docs/execution.md, decision 0035). Other processes load Ray."""
