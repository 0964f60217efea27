"""The student's backbone learns to feed the teacher's classifier: feature MSE through a three-layer projector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from distill import losses
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.composite import Composite, Seam
from distill.recipe_parts.features import DetachedHead
from distill.recipe_parts.guarantee import check_nothing_bypasses
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipe_parts.networks import beside
from distill.recipe_parts.pairs import check_positions, compared_rows
from distill.recipe_parts.projectors import three_layers
from distill.recipe_parts.schema import FEATURE_LOSS, FEATURE_WEIGHT, GRID, HEAD_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {**FEATURE_LOSS, **FEATURE_WEIGHT, **HEAD_WEIGHT, **GRID}


class SimKD(DetachedHead):
    """L = feature_weight * mean (proj(pool(F_s)) - pool(F_t))^2 + head_weight * CE(head(stop_gradient(F_s)), y).

    `feature_loss` may replace the MSE; the projector stays, since the teacher's layers stand on it.
    Only the deepest pair of the selection is used. As published (Chen et al., CVPR 2022, and the authors' code,
    DefangChen/SimKD): between maps the projector is 1x1, 3x3, 1x1 convolutions of inner width c_t / 2, BN and ReLU
    after each, the last too; the deployed network is the student's backbone + projector + the teacher's layers after
    the pair, which `companions` gives. **Our choices**: the last ReLU is left out where the teacher's feature is
    negative anywhere on `teacher_example` (linear bottlenecks, blocks of transformers), which it could never meet;
    tokens have a projector of linear maps with nothing after the last. The plain student is exported beside the
    deployed network, so its own head learns too, by cross-entropy on the detached feature, and no cross-entropy reaches
    the backbone.
    """

    per_token: ClassVar[bool] = False
    reads_logits: ClassVar[bool] = False  # `composite_logits` does, and no training step calls it

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        feature_loss: str = "mse",
        feature_weight: float = 1.0,
        head_weight: float = 1.0,
        grid: int = 2,
    ) -> None:
        super().__init__(setup.deepest())
        self.feature_weight, self.head_weight = feature_weight, head_weight
        self._student_layout, self._teacher_layout = Layout(setup.student_shapes[-1]), Layout(setup.teacher_shapes[-1])
        self._common = CommonResolution(self._student_layout, self._teacher_layout)
        self._rectified = self._rectified_teacher(setup.teacher_example)
        self.projector = projector(self._common, self._rectified)
        self.loss, self.grid = losses.get(feature_loss)(), grid
        check_positions(self.loss, self._common)
        self._student_example, self._teacher_example = setup.student_example, setup.teacher_example
        self.check_student(setup.student, setup.student_layers, setup.student_example)

    @classmethod
    def check_student(cls, student: nn.Module, layers: Sequence[str], example: Any) -> None:
        check_nothing_bypasses(student, layers[-1:], example)

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, _ = self._teacher_pass(teacher_input, logits=False)
        return {"feature_0": self._common.teacher(features[0])}

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        student, teacher = self._common.match(self._common.student(features[0]), targets["feature_0"])
        feature = self._compare(self.projector(student), teacher)
        compared = self.answer.compare(logits, labels)
        head = self.answer.loss(compared)
        loss = self.feature_weight * feature + self.head_weight * head
        return self.parts(loss, compared, feature=feature, **{self.answer.loss_name: head})

    def _compare(self, projected: Tensor, teacher: Tensor) -> Tensor:
        loss: Tensor = self.loss(*compared_rows(self.loss, projected, teacher, self.grid))
        return loss

    def beside(self) -> nn.Module:
        return self.projector

    def companions(self) -> dict[str, Composite]:
        """The published network: student backbone + projector + teacher's own remaining layers, (n, C) logits. {} for
        texts, whose features are rows, and without examples. Raises `InvalidConfig` where the teacher cannot be run
        from the layer on."""
        example = self._teacher_example
        if not isinstance(example, Tensor):
            return {}
        seam = Seam(
            self.student_layers[-1], self.teacher_layers[-1], self._student_layout.shape, self._teacher_layout.shape,
            self._rectified,
        )  # fmt: skip
        made = Composite(self.student, self.projector, self._frozen(), seam, beside(self._frozen(), example))
        return {"composite": made.prune(beside(self.student, self._student_example))}


def projector(common: CommonResolution, rectified: bool) -> nn.Sequential:
    """Three layers from the student's channels to the teacher's; between maps with BN, and ReLU if `rectified`."""
    c_s, c_t = common.student_layout.channels, common.teacher_layout.channels
    layers = three_layers(c_s, c_t, max(c_t // 2, 1), common.maps)
    if common.maps:
        layers.append(nn.BatchNorm2d(c_t))
    if common.maps and rectified:
        layers.append(nn.ReLU())
    return layers


ENTRY = SimKD
