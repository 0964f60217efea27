"""An answer to an instruction, token by token."""

from distill import recipes
from distill.tasks.spec import Metric, TaskSpec

SPEC = TaskSpec(
    name="generate_text",
    title="Instruction following",
    summary="Instructions or conversations with answers; the student writes the answer.",
    modality="texts",
    sample="instruction",
    samples="instructions",
    metrics=(
        Metric("accuracy", "accuracy of the answers' tokens", "share", higher_is_better=True, interval=True),
        Metric("agreement", "agreement with teacher", "share", higher_is_better=True, interval=True),
        Metric("loss", "loss", "nats", higher_is_better=False),
        Metric("perplexity", "perplexity of the answers", "ratio", higher_is_better=False),
        Metric("rouge_l", "ROUGE-L of greedy answers", "number", higher_is_better=True),
        Metric(
            "tokens_per_second",
            "tokens/s, generating",
            "per_second",
            higher_is_better=True,
            path="generation/tokens_per_second",
            note="{generation/batch_size} prompts at a time",
        ),
    ),
    architectures=("transformers:",),
    settings=frozenset({"max_length", "text_features", "label_smoothing", "layer_decay"}),
    container="folder",
    exports="decoder",
    writes=True,
    student="transformers:auto",
    needs_teacher=True,
    recipes=recipes.without("needs_maps", "sample_answers", "needs_regions"),
    files=(
        "CSV, JSON or parquet of instructions: `instruction`, `output`, and where there is one `input`; a "
        "`label` is optional",
        "JSON or parquet of conversations: `messages`, a list of role and content, the last by the assistant; or "
        "ShareGPT's `conversations`",
    ),
    teacher_files="a Hugging Face folder: one zip, or `config.json`, safetensors and `tokenizer.json` together",
    student_hint="A smaller configuration of its teacher's family, with the teacher's tokenizer: give `layers` and "
    "`width`, or a budget of `parameters`.",
    prunes=True,
    older_kind="generate",
    pipeline="text-generation",
)
