"""`retort verify` and `retort signing-key`."""

from __future__ import annotations

from pathlib import Path

import click

from client.api import Retort
from client.errors import Corrupt
from client.session import Session, command
from client.verifying import MANIFEST, Verified
from client.verifying import verify as check

KEY = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("signing-key")
@command
def signing_key(session: Session, retort: Retort) -> None:
    """The public key that the service signs manifests with: keep it, for `retort verify`."""
    click.echo(retort.signing_key(), nl=False)


@click.command("verify")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--key", required=True, type=KEY, help="The service's public key, as `retort signing-key` printed it.")
@click.pass_obj
def verify(session: Session, path: Path, key: Path) -> None:
    """Hold a downloaded FOLDER, or one FILE beside its manifest.json, against the signed manifest. Asks no service."""
    try:
        found = check(path, key.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Corrupt(
            f"There is no {Path(str(error.filename)).name}.", f"`retort download` writes {MANIFEST}."
        ) from error
    _tell(session, found)
    if found.wrong or found.missing:
        names = ", ".join((*found.wrong, *found.missing))
        raise Corrupt(f"Not as job {found.job} made them: {names}.", "Download them again, with `retort download`.")


def _tell(session: Session, found: Verified) -> None:
    for word, names in (("good", found.good), ("wrong", found.wrong), ("missing", found.missing)):
        for name in names:
            session.say(f"{word:8} {name}")
    for name in found.beside:
        session.say(f"{'unsigned':8} {name}: not in the manifest")
