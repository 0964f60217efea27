import type { CurvePoint, Job, JobEvent } from "../api/types";

export function layer(index: number, total: number, quality = 1): CurvePoint {
  return {
    name: `block.${index}`,
    index,
    relative_depth: (index + 1) / total,
    kind: "BasicBlock",
    shape: [16, 8, 8],
    separation: 0.2 + index / 100,
    information: 1,
    efficiency: 0.8,
    quality,
    minimum_similarity: 0.4,
    entropy: 3,
    nearest_distance: 2,
    mean_norm: 9,
    pooled: false,
    standard_error: null,
  };
}

export function job(change: Partial<Job> = {}): Job {
  const id = change.id ?? "job_01";
  return {
    id,
    name: "",
    labels: {},
    status: "running",
    phase: "distilling",
    priority: 0,
    recipe: "feature_only",
    config: { recipe: "feature_only", epochs: 10, learning_rate: "auto" } as unknown as Job["config"],
    resolved: null,
    student: { name: "retort:resnet8", options: { width: 8 } },
    teacher: "tch_01",
    dataset: "dst_01",
    task: "classify_images",
    compare_with: null,
    probe: null,
    attempt: 1,
    max_attempts: 3,
    progress: null,
    selection: null,
    result: null,
    warnings: [],
    error: null,
    queue_position: null,
    not_before: null,
    created_at: "2026-01-31T12:00:00Z",
    started_at: "2026-01-31T12:00:01Z",
    finished_at: null,
    heartbeat_at: "2026-01-31T12:00:09Z",
    links: { self: `/jobs/${id}`, cancel: `/jobs/${id}/cancel` },
    ...change,
  } as Job;
}

export function event(seq: number, kind: string, data: Record<string, unknown>, attempt = 1): JobEvent {
  return { seq, kind, data, attempt, created_at: new Date(Date.UTC(2026, 0, 31, 12, 0, seq)).toISOString() };
}

export const share = (value: number) => ({ value, low: value - 0.01, high: value + 0.01, n: 400 });

export const RESULT = {
  teacher: { architecture: { name: "retort:resnet14" }, accuracy: share(0.98), parameters: 21_289_802, flops: 5e6, bytes: 1_100_000, loss: 0.1, latency: { median_ms: 0.85, device: "cpu", dtype: "fp32", threads: 1 } },
  student: { architecture: { name: "retort:resnet8" }, recipe: "feature_only", accuracy: share(0.97), agreement: share(0.99), parameters: 19_100, flops: 4e5, bytes: 81_000, loss: 0.2, latency: { median_ms: 0.2, device: "cpu", dtype: "fp32", threads: 1 } },
  comparison: { architecture: { name: "retort:resnet8" }, recipe: "cross_entropy", accuracy: share(0.96), parameters: 19_100 },
  verdict: { beats: true, text: "The student beats `alone`." },
  against_teacher: share(-0.01),
};
