"""Language models: speed (`python -m benchmarks.text.speed`), and a study on BBC News (`-m benchmarks.text.bbc`)."""
