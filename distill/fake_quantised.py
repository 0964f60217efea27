"""A network that computes in fp32 as its int8 file will: what quantisation-aware training trains.

By torchao's PT2E: the network's graph, with a quantiser of ours that says which tensors are int8 (those that
onnxruntime makes int8 in a file), and torchao's modules, which round them with a gradient. Batch normalisation is
folded into the convolutions first, as in the file (docs/decisions/0026).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn

from distill.layers import capture
from distill.layers.forward import forward

MOVING_AVERAGE = 0.01
"""How far a batch's smallest and largest value move an activation's range (torch's own constant)."""
_ATEN = torch.ops.aten
_WEIGHTED = {_ATEN.conv1d.default, _ATEN.conv2d.default, _ATEN.conv3d.default, _ATEN.linear.default}
_ELEMENTWISE = {_ATEN.add.Tensor, _ATEN.add_.Tensor, _ATEN.mul.Tensor, _ATEN.mul_.Tensor}
_RELU = {_ATEN.relu.default, _ATEN.relu_.default}
_CLAMP = {_ATEN.hardtanh.default, _ATEN.hardtanh_.default}
_COPIES = {_ATEN.clone.default, _ATEN.view_as.default, _ATEN.alias.default, _ATEN.detach.default}
_QUANTISE = "quantized_decomposed.quantize_per_tensor.default"


class FakeQuantised(nn.Module):
    """`network` (in eval mode, fp32, of one tensor) with every int8 tensor of its file rounded to what int8 holds:

        x -> s (clamp(round(x / s) + z, 0, 255) - z),  gradient that of x inside the range, 0 outside (straight
        through); s, z from the smallest and largest value so far, a moving average in train mode, fixed in eval mode

        W_c -> s_c clamp(round(W_c / s_c), -64, 63),  s_c = max |W_c| / 63.5 for each output channel c

    Int8 are: inputs, weights and outputs (after a ReLU or clamp that follows alone) of convolutions and linear layers,
    and inputs and outputs of sums and products of two tensors. Weights have 7 bits, so that no sum of two products
    overflows the 16 bits that processors without VNNI give it (255 x 64 x 2 < 2^15); activations have no sign, as
    onnxruntime's kernels for x86 want them. `layers`: names of the network's layers whose features
    are wanted (`distill.layers.capture`); here they are called `called[name]`, and what follows is computed from them,
    so that a feature that is detached there is detached for all that follows. Ranges begin with what `see` is shown.
    Raises what tracing raises, and `TypeError` for a network whose answer is no tensor.
    """

    def __init__(self, network: nn.Module, example: Tensor, layers: Sequence[str] = ()) -> None:
        super().__init__()
        from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

        wanted = tuple(dict.fromkeys(layers))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # prepare_pt2e and not prepare_qat_pt2e: it folds batch normalisation, and takes a rounding module wherever
            # it takes an observer.
            self.traced = prepare_pt2e(_graph(network, example, wanted), _quantiser())
        self.called = {name: f"traced.layer_{number}" for number, name in enumerate(wanted)}
        _name_layers(self.traced, len(wanted))
        self.requires_grad_(requires_grad=True)
        for name in ("train", "eval"):  # set on the module by torch.export, to refuse: here a mode changes ranges alone
            self.traced.__dict__.pop(name, None)
        self.train(mode=False)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.traced(inputs)[0]
        return found

    @torch.no_grad()
    def see(self, batches: Iterable[Tensor]) -> FakeQuantised:
        """Begin the ranges with these inputs; it is left in eval mode."""
        self.train()
        for batch in batches:
            self(batch)
        return self.eval()

    def train(self, mode: bool = True) -> FakeQuantised:
        """Ranges move in train mode alone."""
        super().train(mode)
        for each in self._rounding:
            each.enable_observer(mode)
        return self

    def on(self, device: torch.device) -> FakeQuantised:
        """Moved, with the tensors that the graph makes itself."""
        for node in self.traced.graph.nodes:
            if node.op == "call_function" and "device" in node.kwargs:
                node.kwargs = {**node.kwargs, "device": device}
        self.traced.recompile()
        return self.to(device)

    def converted(self) -> nn.Module:
        """The network with int8 weights, and a quantisation and a dequantisation in place of every rounding: what a
        file holds. On the CPU."""
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        own = copy.deepcopy(self).on(torch.device("cpu")).eval().traced
        for node in [node for node in own.graph.nodes if node.op == "call_module" and node.target.startswith("layer_")]:
            node.replace_all_uses_with(node.args[0])
            own.graph.erase_node(node)
        _answer_alone(own)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = convert_pt2e(own)
        _drop_clamps(made)
        return _First(made)

    @cached_property
    def _rounding(self) -> list[Any]:
        from torchao.quantization.pt2e import FakeQuantizeBase

        return [each for each in self.traced.modules() if isinstance(each, FakeQuantizeBase)]


class _First(nn.Module):
    """The first of a graph's outputs."""

    def __init__(self, traced: nn.Module) -> None:
        super().__init__()
        self.traced = traced  # torch.export does not take a part of the name `graph`
        self.training = False

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.traced(inputs)[0]
        return found


class _WithFeatures(nn.Module):
    """A network's answer and the features of its layers, in the order of their names."""

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.network, self.layers = network, tuple(layers)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        with capture(self.network, self.layers) as features:
            found = forward(self.network, inputs)
        if not isinstance(found, Tensor):
            raise TypeError(f"the network answers with a {type(found).__name__}, not with one tensor")
        return found, *(features[name] for name in self.layers)


def _graph(network: nn.Module, example: Tensor, layers: Sequence[str]) -> fx.GraphModule:
    """Of any batch, with a tuple of outputs: the answer and the layers' features."""
    own = _WithFeatures(copy.deepcopy(network).cpu().float().eval(), layers)
    own.requires_grad_(requires_grad=True)
    sizes = ({0: torch.export.Dim("n", min=1)},)
    made: fx.GraphModule = torch.export.export(own, (example.cpu(),), dynamic_shapes=sizes, strict=False).module()
    (output,) = made.graph.find_nodes(op="output")
    answer, *features = output.args[0]
    output.args = ((answer, *map(_source, features)),)
    made.graph.eliminate_dead_code()
    made.recompile()
    return made


def _source(node: fx.Node) -> fx.Node:
    """What a copy is a copy of: `capture` keeps copies."""
    while node.target in _COPIES:
        node = node.args[0]  # type: ignore[assignment]
    return node


def _name_layers(made: fx.GraphModule, count: int) -> None:
    """Put a module `layer_<i>` where feature i is computed, from which all that follows goes on."""
    (output,) = made.graph.find_nodes(op="output")
    features = output.args[0][1:]
    assert len(features) == count
    for number, node in enumerate(features):
        made.add_submodule(f"layer_{number}", nn.Identity())
        with made.graph.inserting_after(node):
            named = made.graph.call_module(f"layer_{number}", (node,))
        node.replace_all_uses_with(named, delete_user_cb=lambda user, named=named: user is not named)
    made.graph.lint()
    made.recompile()


def _answer_alone(made: fx.GraphModule) -> None:
    """The answer stands in the features' places among the outputs, so that nothing is computed for them."""
    (output,) = made.graph.find_nodes(op="output")
    answer, *features = output.args[0]
    output.args = ((answer, *[answer for _ in features]),)
    made.graph.eliminate_dead_code()
    made.recompile()


def _quantiser() -> Any:
    """torchao's `Quantizer` that annotates what `FakeQuantised` says."""
    from torchao.quantization.pt2e import (
        FakeQuantize,
        MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver,
    )
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer

    rounding = FakeQuantize  # the fused one, which is faster, has another scale for weights than `convert_pt2e` writes
    activation = QuantizationSpec(
        torch.uint8, rounding.with_args(observer=MovingAverageMinMaxObserver, averaging_constant=MOVING_AVERAGE),
        quant_min=0, quant_max=255, qscheme=torch.per_tensor_affine,
    )  # fmt: skip
    weight = QuantizationSpec(
        torch.int8, rounding.with_args(observer=MovingAveragePerChannelMinMaxObserver, averaging_constant=1.0),
        quant_min=-64, quant_max=63, qscheme=torch.per_channel_symmetric, ch_axis=0,
    )  # fmt: skip

    def annotated(node: fx.Node) -> Any:
        return node.meta.setdefault("quantization_annotation", QuantizationAnnotation(_annotated=True))

    class Everywhere(Quantizer):  # type: ignore[misc]
        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            for node in model.graph.nodes:
                inputs = dict.fromkeys(_activations(node), activation)
                if not inputs:
                    continue
                if node.target in _WEIGHTED:
                    inputs = {node.args[0]: activation, node.args[1]: weight}
                annotated(node).input_qspec_map = inputs
                annotated(_rectified(node)).output_qspec = activation
            return model

        def validate(self, model: fx.GraphModule) -> None:
            pass

    return Everywhere()


def _activations(node: fx.Node) -> list[fx.Node]:
    """The node's inputs that are int8, where it is one of the operators that have such."""
    if node.target in _WEIGHTED:
        return [node.args[0]]  # type: ignore[list-item]
    if node.target not in _ELEMENTWISE:
        return []
    both = [each for each in node.args[:2] if isinstance(each, fx.Node) and each.op != "get_attr"]
    values = [each.meta.get("val") for each in both]
    floats = [isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 1 for value in values]
    return both if len(both) == 2 and all(floats) else []


def _rectified(node: fx.Node) -> fx.Node:
    """The ReLU or clamp that alone reads the node's output, as onnxruntime makes them one; else the node."""
    (user, *others) = node.users or (node,)
    return user if not others and user.target in _RELU | _CLAMP else node


def _drop_clamps(made: fx.GraphModule) -> None:
    """Take out each ReLU or clamp before a quantisation whose range ends where it ends: the numbers are the same, and
    onnxruntime then computes convolution and clamp as one operator in int8."""
    for node in [node for node in made.graph.nodes if node.target in _RELU | _CLAMP]:
        if node.users and all(_no_wider(user, *_bounds(node)) for user in node.users):
            node.replace_all_uses_with(node.args[0])
            made.graph.erase_node(node)
    made.recompile()


def _bounds(node: fx.Node) -> tuple[float, float]:
    if node.target in _RELU:
        return 0.0, float("inf")
    given: list[Any] = [*node.args[1:3]]
    low, high = given + [-1.0, 1.0][len(given) :]  # hardtanh's own defaults
    return float(low), float(high)


def _no_wider(user: fx.Node, low: float, high: float) -> bool:
    """Whether the user is a quantisation none of whose numbers lies beyond the bounds by half a step or more."""
    if str(user.target) != _QUANTISE:
        return False
    _, scale, zero, least, most = user.args[:5]
    lowest, highest = ((end - zero) * scale for end in (least, most))  # type: ignore[operator]
    return bool(lowest > low - scale / 2 and highest < high + scale / 2)  # type: ignore[operator]
