"""Where a step waits for the device, and why it may."""

MASKED = "how many predictions a batch has is known on the device alone: one wait a batch and network"
SILENT = "points where teacher and student say nothing are left out: " + MASKED
AGAIN = "the gradient of what a mask picked asks again what it lets through"
ATTENTION = "transformers asks whether any token is padded, to use the faster kernel where none is"
SUPPRESSION = "boxes that survive are as many as the picture has: validation, once a batch"
KEPT = "what is kept of every test sample lies on the host, so that the device need not hold all of it: once a batch"
BY_IMAGE = "images have sizes of their own, and their masks are packed on the host: an image at a time"
OPENED = "numbers that are put on the device when a loader is made, once a test set"
ONCE = "the figures of a validation are read once, at its end"

#: By "file:function operation", as `Watched` writes it.
IN_A_STEP = {
    "layers/forward.py:forward _local_scalar_dense": ATTENTION,
    "layers/forward.py:forward index": "transformers computes logits where they are asked for alone (`logits_to_keep`)",
    "layers/sequence.py:pick index": "tokens that are padding have no feature: " + MASKED,
    "tasks/detect_objects/heads/divergence.py:<listcomp> index": SILENT,
    "tasks/generate_text/answer.py:compare index": MASKED,
    "tasks/generate_text/answer.py:rows index": MASKED,
    "tasks/segment_images/answer.py:compare nonzero": MASKED,
    "tasks/segment_images/answer.py:figures index": MASKED,
    "training/loop.py:_step index_put": AGAIN,
}
IN_VALIDATION = {
    "training/meter.py:take _to_copy": ONCE,
    "training/meter.py:<listcomp> _to_copy": ONCE,
    "tasks/detect_objects/answer.py:figures _to_copy": SUPPRESSION,
    "tasks/detect_objects/detections.py:detect _to_copy": SUPPRESSION,
    "tasks/detect_objects/detections.py:detect index": SUPPRESSION,
    "tasks/detect_objects/nms.py:suppressed _to_copy": SUPPRESSION,
    "tasks/detect_objects/nms.py:suppressed index": SUPPRESSION,
    "tasks/detect_objects/running.py:counts _to_copy": SUPPRESSION,
    "tasks/detect_objects/running.py:counts index": SUPPRESSION,
}
IN_EVALUATION = {
    "evaluate.py:<genexpr> _to_copy": KEPT,
    "evaluate.py:<listcomp> _to_copy": "answers are read once, at the end of the test set",
    "modalities/images/loader.py:__init__ _to_copy": OPENED,
    "modalities/images/normalise.py:__init__ _to_copy": OPENED,
    "tasks/detect_objects/evaluate.py:answers _local_scalar_dense": "the loss, a batch at a time, behind its boxes",
    "tasks/segment_images/evaluate.py:_answer _local_scalar_dense": BY_IMAGE,
    "tasks/segment_images/evaluate.py:_answer _to_copy": BY_IMAGE,
    "tasks/segment_images/evaluate.py:_answer nonzero": "how many pixels have a label is known on the device alone",
    "tasks/tag_images/scores.py:answers _to_copy": KEPT,
}
