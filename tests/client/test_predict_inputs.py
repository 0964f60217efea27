"""What `retort predict` takes for a picture, for a text, and for a slip of the keyboard."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from client.commands.predict import sample


def test_a_file_is_a_file_and_words_are_a_text(tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    picture.touch()
    assert sample(str(picture)) == picture
    for text in ("The match ended in a draw.", "see http://x.org", "a" * 5000, "what is a .png file?"):
        assert sample(text) == text


@pytest.mark.parametrize("name", ["missing.png", "folder/CAT.JPG", "./my cat.webp"])
def test_a_picture_that_is_not_there_is_no_text(name: str) -> None:
    with pytest.raises(click.BadParameter):
        sample(name)
