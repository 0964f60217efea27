"""How a checkpoint is refused: always `InvalidTeacher`, always with what to do instead."""

from __future__ import annotations

from typing import Any, NoReturn

from distill.errors import InvalidTeacher

RESAVE = (
    "Re-save the weights where the file came from: "
    "safetensors.torch.save_file(model.state_dict(), 'model.safetensors'), and upload that."
)
SHARDS = "Upload model.safetensors.index.json with all the shards that it names, or one safetensors file."


def refusal(what: str, remedy: str = RESAVE, **details: Any) -> InvalidTeacher:
    """The error; `what` completes "The checkpoint was refused: ..."."""
    return InvalidTeacher(f"The checkpoint was refused: {what}.", remedy, details)


def refuse(what: str, remedy: str = RESAVE, **details: Any) -> NoReturn:
    """Raise `refusal`."""
    raise refusal(what, remedy, **details)


def shown(name: object) -> str:
    """A hostile name, short and printable."""
    return ascii(str(name)[:80])
