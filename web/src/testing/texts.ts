/** What the service says of texts, as it says it. */
const share = (value: number) => ({ value, low: value - 0.01, high: value + 0.01, n: 400 });

export const REVIEWS = {
  task: "classify_text",
  kind: "classify",
  form: "texts",
  classes: ["bad", "good"],
  counts: { train: [40, 60], test: [10, 10] },
  words: [3, 21, 400],
  longer_than: { "128": 0.25, "256": 0.1, "512": 0 },
  pairs: false,
  duplicates_between_splits: 5,
  notes: ["5 test texts (25.0%) are among the training texts: scores are too high.", "No test split: 20% held out."],
  examples: [
    { label: "bad", first: "It broke at once.", second: "" },
    { label: "good", first: "It has lasted for years.", second: "" },
  ],
};

export const INSTRUCTIONS = {
  task: "generate_text",
  kind: "generate",
  form: "messages",
  classes: [],
  counts: { train: [80], test: [20] },
  words: [4, 30, 90],
  longer_than: { "128": 0 },
  duplicates_between_splits: 0,
  notes: [],
  examples: [{ label: "", first: "### User: Name a bird.", second: "A wren." }],
};

export const MODEL = {
  architecture: { name: "transformers:bert", options: {} },
  family: "bert",
  num_classes: 2,
  classes: ["bad", "good"],
  generates: false,
  parameters: 22_700_000,
  layers: 6,
  width: 384,
  heads: 12,
  vocabulary: 30522,
  max_length: 512,
  tensors: 103,
  dtypes: ["F32"],
  ignored: [],
};

const answers = (perplexity: number, rouge: number) => ({
  architecture: { name: "transformers:llama" },
  preprocessing: { max_length: 64, task: "generate" },
  accuracy: share(0.4),
  loss: 2.5,
  perplexity,
  rouge_l: { value: rouge, n: 20 },
  generation: { tokens_per_second: 840.2, tokens: 500, batch_size: 16 },
  parameters: 9000,
  flops: 1e6,
  latency: { median_ms: 2, device: "cpu", dtype: "fp32", threads: 1 },
});

export const ANSWERS = {
  teacher: answers(8.25, 0.52),
  student: { ...answers(12.5, 0.31), recipe: "logit" },
  comparison: null,
  verdict: { beats: null, text: "There is no comparison." },
  dataset: { kind: "generate", train: 80, validation: 10, test: 20, max_length: 64, mean_tokens: 22.1, truncated: { train: 9, test: 0 }, duplicates_between_splits: 3 },
};
