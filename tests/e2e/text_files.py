"""Tiny language models and texts for the browser's tests: `python -m tests.e2e.text_files FOLDER`.

`base/` and `base.zip`: a BERT without a head; `decoder.zip`: a Llama. `train.jsonl`, `test.jsonl`: labelled texts, some
of which are in both; `chats.jsonl`: conversations without labels.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from tests.language import tiny
from tests.language.test_data import write
from tests.language.test_run import texts

TRAINED, TWINS, CHATS = 300, 12, 120


def main(folder: Path) -> None:
    tiny.save(tiny.network("bert").bert, folder / "base")
    tiny.save(tiny.network("llama", "generate"), folder / "decoder")
    for name in ("base", "decoder"):
        shutil.make_archive(str(folder / name), "zip", folder, name)
    texts(folder, TRAINED + 60)
    rows = [json.loads(line) for line in (folder / "all.jsonl").read_text().splitlines()]
    write(folder / "train.jsonl", rows[:TRAINED])
    write(folder / "test.jsonl", rows[TRAINED - TWINS :])
    pairs = [("what does the cat do ?", "the cat runs ."), ("what does the bird do ?", "the bird flies .")]
    chats = [[{"role": "user", "content": asked}, {"role": "assistant", "content": told}] for asked, told in pairs]
    write(folder / "chats.jsonl", [{"messages": chats[i % 2]} for i in range(CHATS)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
