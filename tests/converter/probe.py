"""Runs inside the sandbox for the tests: tries what an attacker would and prints, as JSON, what came of it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def attempt(action):
    try:
        return {"ok": True, "value": action()}
    except BaseException as error:
        return {"ok": False, "error": type(error).__name__, "text": str(error)[:200]}


def connect(port: str) -> str:
    import socket

    with socket.create_connection(("127.0.0.1", int(port)), timeout=2) as connection:
        connection.sendall(b"stolen")
    return "connected"


def fork() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def thread() -> str:
    import threading

    seen: list[str] = []
    worker = threading.Thread(target=lambda: seen.append("ran"))
    worker.start()
    worker.join()
    return seen[0]


def allocate(megabytes: str) -> int:
    return len(bytearray(int(megabytes) * 2**20))


def spin() -> None:
    while True:
        pass


def write(path: str) -> int:
    return Path(path).write_bytes(b"x" * 10)


def grow(path: str, size: str) -> int:
    with Path(path).open("wb") as file:
        for _ in range(int(size) // 4096):
            file.write(b"x" * 4096)
        return file.tell()


def execute(path: str) -> int:
    import subprocess

    return subprocess.run([path], check=False).returncode


def replace_self(path: str) -> None:
    os.execv(path, [path])


def burn(seconds: str) -> None:
    """Use processor time."""
    while time.process_time() < float(seconds):
        pass


def torch_sum() -> float:
    import torch

    return float(torch.ones(1000).sum())


ACTIONS = {
    "connect": connect,
    "socket": lambda: __import__("socket").socket().fileno(),
    "fork": fork,
    "thread": thread,
    "allocate": allocate,
    "spin": spin,
    "burn": burn,
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "write": write,
    "grow": grow,
    "read": lambda path: Path(path).read_text()[:2000],
    "execute": execute,
    "replace_self": replace_self,
    "environment": lambda: dict(os.environ),
    "descriptors": lambda: [n for n in range(256) if attempt(lambda n=n: os.fstat(n).st_mode)["ok"]],
    "kill": lambda pid: os.kill(int(pid), 0),
    "kill_self": lambda number: os.kill(os.getpid(), int(number)),
    "exit": lambda status: sys.exit(int(status)),
    "torch": torch_sum,
    "list": lambda path: sorted(entry.name for entry in Path(path).iterdir()),
    "print": lambda size: sys.stdout.write("x" * int(size)),
    "chmod": lambda path: Path(path).chmod(0o777),
    "raise_limit": lambda: __import__("resource").setrlimit(7, (4096, 4096)),
}


def main() -> None:
    results = []
    for text in sys.argv[1:]:
        name, *arguments = text.split("|")
        if name in ("exit", "spin", "kill_self"):
            ACTIONS[name](*arguments)
        results.append(attempt(lambda name=name, arguments=arguments: ACTIONS[name](*arguments)))
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
