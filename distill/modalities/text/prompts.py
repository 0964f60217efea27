"""What a decoder is asked, in the words that it was trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distill.modalities.text.records import Form, prompt_of, talk_of

Text = str | tuple[str, str]
Talk = Sequence[Mapping[str, str]]


def prompt(given: Text | Talk, form: Form) -> str:
    """The prompt of an instruction, of a pair (instruction, input), or of a conversation so far (messages with `role`
    and `content`; a decoder of conversations takes a text as the user's first message)."""
    if isinstance(given, tuple):
        return prompt_of(*given)
    if isinstance(given, str):
        return talk_of([{"role": "user", "content": given}]) if form == "messages" else prompt_of(given)
    return talk_of(given)
