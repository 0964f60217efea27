"""Small datasets of noise for the browser's tests: `python tests/e2e/files.py FOLDER`."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

from tests.data.files import image_bytes, tree, write_zip


def main(folder: Path) -> None:
    images = [base64.b64encode(image_bytes(i)).decode() for i in range(20)]
    rows = "".join(f"{image},{'cat' if i % 2 else 'dog'}\n" for i, image in enumerate(images))
    (folder / "animals.csv").write_text(f"image,label\n{rows}")
    write_zip(folder / "classes.zip", tree(3, 10))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
