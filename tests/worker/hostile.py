"""What a trainer that a hostile file has taken over would try, one attempt after the other; prints JSON, which held.

`python hostile.py FOLDER FACTS HELD`: FACTS (a file) says where everything lies; HELD `1`: shut in as a trainer first.
"""

# An attacker calls the kernel as directly as he can:
# ruff: noqa: PTH101, PTH108, PTH123, PTH208, PTH211

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
libc = ctypes.CDLL(None, use_errno=True)


def attempts(folder: Path, facts: dict) -> dict[str, Callable[[], object]]:
    database, victim = facts["database"], facts["victim"]
    return {
        "reads the database": lambda: open(database, "rb").read(100),
        "reads the secrets of webhooks": lambda: rows(database, "SELECT secret FROM webhooks"),
        "writes the database": lambda: rows(database, "INSERT INTO taken VALUES (1)"),
        "lists the objects": lambda: os.listdir(facts["objects"]),
        "reads an object of another tenant": lambda: open(facts["object"]).read(),
        "removes an object": lambda: os.unlink(facts["removable"]),
        "lists the jobs": lambda: os.listdir(facts["scratch"]),
        "reads another job's input": lambda: open(facts["other"]).read(),
        "writes into another job": lambda: open(facts["other"] + ".new", "w").write("x"),
        "reads the home": lambda: open(facts["home"]).read(),
        "writes elsewhere": lambda: open(facts["elsewhere"], "w").write("x"),
        "links the database into its folder": lambda: os.link(database, folder / "run" / "linked"),
        "points at the database from its folder": lambda: os.symlink(database, folder / "run" / "pointer"),
        "changes the mode of the database": lambda: os.chmod(database, 0o644),
        "changes its specification": lambda: open(folder / "spec.json", "a").write(" "),
        **{f"connects to {name}": lambda port=port: connect(port) for name, port in facts["ports"].items()},
        "connects to a socket's path": lambda: connect_unix(facts["socket"]),
        "sends a datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
        "reads the worker's environment": lambda: open(f"/proc/{victim}/environ", "rb").read(),
        "reads the worker's command": lambda: open(f"/proc/{victim}/cmdline", "rb").read(),
        "traces the worker": lambda: trace(victim),
        "signals the worker": lambda: os.kill(victim, signal.SIGCONT),
        "starts a program": lambda: subprocess.run(["/bin/true"], check=True),
        "reads the database in a child": lambda: in_child(lambda: open(database, "rb").read(100)),
        "reads the database in a thread": lambda: in_thread(lambda: open(database, "rb").read(100)),
        # what it may
        "may read its inputs": lambda: open(folder / "inputs" / "given").read(),
        "may read a named set": lambda: open(facts["named"]).read(),
        "may write its run": lambda: open(folder / "run" / "made", "w").write("x"),
        "may make and move folders": lambda: moved(folder / "run"),
        "may use temporary files": temporary,
        "may load numpy": lambda: str(__import__("numpy").ones(3).sum()),
        "may start Python": lambda: subprocess.run([sys.executable, "-c", "import numpy"], check=True),
        "may use semaphores": lambda: __import__("multiprocessing").get_context("spawn").Lock(),
        "may end its own children": end_child,
    }


def rows(database: str, statement: str) -> list:
    with sqlite3.connect(database) as connection:
        return connection.execute(statement).fetchall()


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def connect_unix(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.connect(path)


def trace(pid: int) -> None:
    if libc.ptrace(PTRACE_SEIZE, pid, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")
    libc.ptrace(PTRACE_DETACH, pid, None, None)


def in_child(work: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        try:
            work()
        except PermissionError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise PermissionError("in the child")


def in_thread(work: Callable[[], object]) -> None:
    refused = []

    def run() -> None:
        try:
            work()
        except PermissionError as error:
            refused.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if refused:
        raise refused[0]


def moved(run: Path) -> None:
    (run / "a").mkdir()
    (run / "b").mkdir()
    (run / "a" / "file").write_text("x")
    (run / "a" / "file").rename(run / "b" / "file")
    (run / "a").rmdir()


def temporary() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        Path(made, "file").write_text("x")


def end_child() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    child.terminate()
    assert child.wait(30) == -signal.SIGTERM


def tried(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "done"


if __name__ == "__main__":
    folder, facts = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    if sys.argv[3] == "1":
        from worker.jobs.trainer import shut_in

        isolation = shut_in(folder)
        assert isolation.complete, isolation.summary()
    print(json.dumps({name: tried(attempt) for name, attempt in attempts(folder, facts).items()}), flush=True)
