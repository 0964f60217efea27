"""An answer to an instruction, token by token."""

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
        Metric("tokens_per_second", "tokens/s, generating", "per_second", higher_is_better=True),
    ),
    architectures=("transformers:",),
    settings=frozenset({"max_length", "text_features"}),
    needs_teacher=True,
)
