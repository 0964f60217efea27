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


INSTRUCTION = r"{{ '### Instruction:\n' + messages[-1]['content'] | trim + '\n\n### Response:\n' }}"
CONVERSATION = (
    r"{% for message in messages %}{% if message['role'] != 'system' or message['content'] | trim %}"
    r"{{ '### ' + message['role'] | capitalize + ':\n' + message['content'] | trim + '\n\n' }}"
    r"{% endif %}{% endfor %}{{ '### Assistant:\n' }}"
)


def template(form: Form) -> str:
    """The same as a Jinja template of `messages`, as chat programs fill it: of conversations all of them, of
    instructions the last one. Text stands in expressions, so that no setting of Jinja cuts its lines."""
    return CONVERSATION if form == "messages" else INSTRUCTION
