"""One class a text, or a pair of texts."""

from distill import recipes
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
        Metric("balanced_accuracy", "balanced accuracy", "share", higher_is_better=True),
        Metric("macro_f1", "macro-F1", "share", higher_is_better=True),
        Metric("top5", "top-5", "share", higher_is_better=True, interval=True),
        Metric("agreement", "agreement with teacher", "share", higher_is_better=True, interval=True),
        Metric("linear_probe", "accuracy of a linear probe", "share", higher_is_better=True, interval=True),
        Metric("loss", "loss", "nats", higher_is_better=False),
    ),
    architectures=("transformers:",),
    per_class="accuracy",
    settings=frozenset(
        {
            "max_length",
            "text_features",
            "fit_head",
            "label_smoothing",
            "teacher_classes",
            "class_weights",
            "sampling",
            "layer_decay",
        }
    ),
    container="folder",
    exports="tokens",
    student="transformers:auto",
    needs_teacher=True,
    recipes=recipes.without("needs_maps", "needs_regions"),
    files=(
        "CSV, JSON or parquet of labelled texts: `text`, `label`",
        "CSV, JSON or parquet of labelled pairs: `sentence1`, `sentence2`, `label` (or `premise`, `hypothesis`; "
        "`question1`, `question2`)",
    ),
    teacher_files="a Hugging Face folder: one zip, or `config.json`, safetensors and `tokenizer.json` together",
    student_hint="A smaller configuration of its teacher's family, with the teacher's tokenizer: give `layers` and "
    "`width`, or a budget of `parameters`; with `vocab_size` it has a smaller vocabulary of its own.",
    prunes=True,
    older_kind="classify",
    pipeline="text-classification",
)
