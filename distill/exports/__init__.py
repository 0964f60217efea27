"""Formats in which a finished student is handed over: one exporter a file, named by its file. Listing imports no torch.

A format is called as its file is, with a hyphen for each underscore: `onnx_int8.py` is `onnx-int8`.
"""

from distill.hyphenated import Hyphenated

registry = Hyphenated(__name__, __path__, "export format")
names = registry.names
get = registry.get
