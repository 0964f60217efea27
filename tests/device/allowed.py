"""Where a step waits for the device, and why it may."""

#: By "file:function operation", as `Watched` writes it.
IN_A_STEP: dict[str, str] = {}
IN_VALIDATION: dict[str, str] = {
    "training/meter.py:take _to_copy": "the figures of a validation are read once, at its end",
    "training/meter.py:<listcomp> _to_copy": "the counts that the sums are divided by, once, at its end",
}
