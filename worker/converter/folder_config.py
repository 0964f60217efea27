"""The configuration beside the weights of a model folder, as metadata of the one file that is made of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Any

from distill.vision_folder import CONFIG, PREPROCESSOR, header_of
from worker.converter.limits import ConverterLimits
from worker.converter.refusal import refuse, shown
from worker.converter.sources import Source

REMEDY = "Send the files that `model.save_pretrained` and `processor.save_pretrained` wrote."


def is_read(source: Source) -> bool:
    """Whether it is a file of the configuration, by its name."""
    return PurePosixPath(source.name).name in (CONFIG, PREPROCESSOR)


def told_by_folder(sources: Sequence[Source], shards: Collection[str], limits: ConverterLimits) -> dict[str, str]:
    """What the configuration in the folder of the `shards` (plain names) tells of a network of pictures
    (`distill.vision_folder`); {} where there is none, or one of something else. Raises `InvalidTeacher`."""
    home = {PurePosixPath(source.name).parent for source in sources if PurePosixPath(source.name).name in shards}
    there = {PurePosixPath(s.name).name: s for s in sources if is_read(s) and PurePosixPath(s.name).parent in home}
    if CONFIG not in there:
        return {}
    read = {name: _read(source, limits) for name, source in there.items()}
    return header_of(read[CONFIG], read.get(PREPROCESSOR, {}))


def _read(source: Source, limits: ConverterLimits) -> dict[str, Any]:
    if source.bytes > limits.config_bytes:
        refuse(f"its {shown(source.name)} has more than {limits.config_bytes} bytes", REMEDY)
    with source.open() as file:
        text = file.read(source.bytes)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        refuse(f"its {shown(source.name)} is no JSON", REMEDY)
    if not isinstance(value, dict):
        refuse(f"its {shown(source.name)} is no JSON object", REMEDY)
    return value
