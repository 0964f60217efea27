"""Two processes on gloo train the student that one process trains on the whole batch, each with a whole network or with
a share of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from distill.control import Control
from distill.train import train
from distill.training import checkpoint
from tests.slowness import within
from tests.training.conftest import config, tiny_data, tiny_recipe
from tests.training.test_resume import drain

SCRIPT = """
import sys
from pathlib import Path
import torch
from distill.control import Control
from distill.train import train
from distill.training import checkpoint, distributed
from tests.training.conftest import config, tiny_data, tiny_recipe
from tests.training.test_resume import drain
torch.set_num_threads(1)
folder, handover = Path(sys.argv[1]), int(sys.argv[2])
settings = config(gradient_accumulation=int(sys.argv[3]), clip_norm=1.0, ema_decay=0.9)
with distributed.group() as rank, distributed.in_shares(sys.argv[4] == "shares"):
    for attempt in range(2 if handover else 1):
        recipe = tiny_recipe(dropout=0.0)
        newest = checkpoint.existing(folder)[-1] if attempt else None
        control = Control()
        at = handover if attempt == 0 and handover and rank == 1 else None
        data = tiny_data(validation=20)  # three batches for two processes
        events, outcome = drain(train(recipe, data, settings, folder, control, newest), control, at)
        distributed.agree(lambda: None)
        assert (outcome.ending == "handover") == (attempt == 0 and handover > 0), outcome
    told = [event.data["values"] for event in events if event.data.get("split") == "validation"]
    torch.save((recipe.state_dict(), told[-1]), folder / f"student-{rank}.pt")
"""

JUDGED = """
import sys
from pathlib import Path
import torch
from distill.control import Control
from distill.errors import Diverged
from distill.train import train
from distill.training import distributed
from tests.training.conftest import alone, config, tiny_data
from tests.training.test_resume import drain
torch.set_num_threads(1)
folder, learnable = Path(sys.argv[1]), sys.argv[2] == "learnable"
settings = config(epochs=5, fit_head=True, learning_rate=1e-9)  # what is learnt the fit of the head learns
with distributed.group() as rank:
    try:
        data = tiny_data(train=200, validation=64, learnable=learnable)
        _, outcome = drain(train(alone(0.0), data, settings, folder, Control()))
        said = f"{outcome.ending} {outcome.validation} {outcome.head}"
    except Diverged as error:
        said = error.message
    (folder / f"said-{rank}.txt").write_text(said)
"""


@pytest.mark.long
@pytest.mark.parametrize(("case", "expected"), [("learnable", "finished"), ("noise", "stayed at chance")])
def test_the_first_process_judges_the_fitted_student_for_all(tmp_path: Path, case: str, expected: str) -> None:
    run_two(JUDGED, [str(tmp_path), case])
    said = [(tmp_path / f"said-{rank}.txt").read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert expected in said[0]


@pytest.mark.parametrize("lying", ["whole", "shares"])
@pytest.mark.parametrize(("handover", "accumulation"), [(0, 2), (4, 1)])
def test_two_processes_equal_one(tmp_path: Path, handover: int, accumulation: int, lying: str) -> None:
    one = tiny_recipe(dropout=0.0)
    settings = config(gradient_accumulation=accumulation, clip_norm=1.0, ema_decay=0.9)
    events, _ = drain(train(one, tiny_data(validation=20), settings, tmp_path / "one", Control()))
    (*_, judged) = (event.data["values"] for event in events if event.data.get("split") == "validation")

    folder = tmp_path / "two"
    folder.mkdir()
    run_two(SCRIPT, [str(folder), str(handover), str(accumulation), lying])
    states, told = zip(*(torch.load(folder / f"student-{rank}.pt") for rank in range(2)), strict=True)
    assert told[0] == told[1] == pytest.approx(judged, rel=1e-3, abs=1e-3)
    for name, value in one.state_dict().items():
        assert torch.equal(states[0][name], states[1][name])
        torch.testing.assert_close(states[0][name], value, rtol=1e-3, atol=2e-4)


MOVED = """
import sys
from pathlib import Path
import torch
from distill.control import Control
from distill.train import train
from distill.training import checkpoint, distributed
from tests.training.conftest import config, tiny_data, tiny_recipe
from tests.training.test_resume import drain
torch.set_num_threads(1)
left, own = Path(sys.argv[1]), Path(sys.argv[2])
with distributed.group() as rank, distributed.in_shares(sys.argv[3] == "shares"):
    recipe = tiny_recipe(dropout=0.0)
    drain(train(recipe, tiny_data(), config(clip_norm=1.0), left, Control(), checkpoint.existing(left)[-1]))
    torch.save(recipe.state_dict(), own / f"finished-{rank}.pt")
    control = Control()
    _, outcome = drain(train(tiny_recipe(dropout=0.0), tiny_data(), config(clip_norm=1.0), own, control), control, 4)
    assert outcome.ending == "handover", outcome
"""


@pytest.mark.parametrize("lying", ["whole", "shares"])
def test_a_checkpoint_of_one_process_continues_with_two_and_of_two_with_one(tmp_path: Path, lying: str) -> None:
    settings, folders = config(clip_norm=1.0), [tmp_path / name for name in ("whole", "one", "two")]
    whole, last, control = tiny_recipe(dropout=0.0), tiny_recipe(dropout=0.0), Control()
    drain(train(whole, tiny_data(), settings, folders[0], Control()))
    drain(train(tiny_recipe(dropout=0.0), tiny_data(), settings, folders[1], control), control, 4)
    folders[2].mkdir()
    run_two(MOVED, [*(str(folder) for folder in folders[1:]), lying])
    drain(train(last, tiny_data(), settings, folders[2], Control(), checkpoint.existing(folders[2])[-1]))
    states = [torch.load(folders[2] / f"finished-{rank}.pt") for rank in range(2)]
    for name, value in whole.state_dict().items():
        for other in (*states, last.state_dict()):
            torch.testing.assert_close(other[name], value, rtol=1e-3, atol=2e-4)


HELD = """
import sys
from pathlib import Path
import torch
from distill.errors import InvalidConfig
from distill import offload
from distill.training import distributed, sharding
torch.set_num_threads(1)
def held(*tensors):
    storages = [sharding.local(each).untyped_storage() for each in tensors]
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())
class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.map = torch.nn.Linear(64, 64)
    def forward(self, x):
        return x + self.map(x).relu()
class Around(torch.nn.Module):  # its block is never called
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block()])
    def forward(self, x):
        return torch.nn.functional.linear(x, self.blocks[0].map.weight)
with distributed.group() as rank:
    torch.manual_seed(0)
    network = torch.nn.Sequential(*(Block() for _ in range(8)))
    blocks = sum(1 for _ in offload.blocks(network))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    sharding.shard(network, device=torch.device("cpu"))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    network(torch.randn(4, 64)).square().mean().backward()
    found = {
        "parameters": held(*network.parameters()), "gradients": held(*(p.grad for p in network.parameters())),
    }
    optimizer.step()
    kept = [v for each in optimizer.state.values() for v in each.values() if v.dim()]
    found["state"] = held(*kept)
    sharding.load(network, before)
    sharding.gather(network)
    same = all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    hooks = [each for part in network.modules() for name, each in vars(part).items() if name.endswith("hooks")]
    plain = not any(hooks) and not any("FSDP" in type(part).__name__ for part in network.modules())
    network.load_state_dict(before)
    sharding.shard(network, device=torch.device("cpu"))  # what was whole again can be shared again
    network = Around()
    sharding.shard(network, device=torch.device("cpu"))
    try:
        with sharding.explained():
            network(torch.randn(4, 64))
        refused = ""
    except InvalidConfig as error:
        refused = error.details["field"]
    torch.save((found, blocks, same, plain, refused), Path(sys.argv[1]) / f"held-{rank}.pt")
"""


def test_each_process_holds_half_and_a_network_is_whole_again(tmp_path: Path) -> None:
    run_two(HELD, [str(tmp_path)])
    values = 8 * (64 * 64 + 64)
    for rank in range(2):
        found, blocks, same, plain, refused = torch.load(tmp_path / f"held-{rank}.pt")
        assert found == {"parameters": values * 2, "gradients": values * 2, "state": 2 * values * 2}  # of 4 bytes each
        assert (blocks, same, plain, refused) == (8, True, True, "sharding")


#: As ranks of the service end: of tensors in shares a thread of gloo may let go while Python exits, which aborts.
END = """
import os
sys.stdout.flush(), sys.stderr.flush()
os._exit(0)
"""


def run_two(script: str, arguments: list[str], seconds: float = 120) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shared = os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script + END, *arguments],
            env=shared | {"RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=within(seconds))
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
