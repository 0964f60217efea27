"""One class a text, or a pair of texts."""

from distill.tasks.spec import Metric, TaskSpec

SPEC = TaskSpec(
    name="classify_text",
    title="Text classification",
    summary="Texts, or pairs of texts, of one class each; the student names the class.",
    modality="texts",
    sample="text",
    samples="texts",
    metrics=(
        Metric("accuracy", "accuracy", "share", higher_is_better=True, interval=True),
        Metric("top5", "top-5", "share", higher_is_better=True, interval=True),
        Metric("agreement", "agreement with teacher", "share", higher_is_better=True, interval=True),
        Metric("loss", "loss", "nats", higher_is_better=False),
    ),
    architectures=("transformers:",),
    per_class="accuracy",
    settings=frozenset({"max_length", "text_features"}),
    needs_teacher=True,
)
