"""Language models: speed (`python -m benchmarks.text.speed`) and a study on BBC News (`python -m benchmarks.text.bbc`)."""
