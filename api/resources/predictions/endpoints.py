"""/jobs/{id}/predict."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.http.auth import TenantDep
from api.http.negotiation import Accept, best
from api.http.openapi import body, documented
from api.http.uploads import Upload, received
from api.resources.predictions import service
from api.resources.predictions.reading import read
from api.resources.predictions.schemas import EXAMPLES, MOST_BODY_BYTES, MOST_INPUTS, PredictionOut, PredictRequest
from api.state.deps import ContextDep

SSE = "text/event-stream"
router = APIRouter(tags=["results"])
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {
            "description": f"One to {MOST_INPUTS} pictures: the field may come again.",
            "oneOf": [
                {"type": "string", "contentMediaType": "application/octet-stream"},
                {"type": "array", "items": {"type": "string", "contentMediaType": "application/octet-stream"}},
            ],
        },
        "teacher": {"type": "boolean", "default": False},
    },
}
_STREAM: dict[str, Any] = {
    "schema": {"type": "string"},
    "example": 'event: text\ndata: {"input":0,"network":"student","text":"A"}\n\n',
}
Pictures = Annotated[Upload, received(MOST_BODY_BYTES)]


@router.post(
    "/jobs/{job_id}/predict",
    operation_id="ask_job_student",
    summary="Ask a finished student",
    response_model=PredictionOut,
    responses=documented(404, 406, 409, 413, 415, 422, also={200: {"content": {SSE: _STREAM}}}),
    openapi_extra=body(json=(PredictRequest, EXAMPLES[0]), form=(_FORM, {"file": "image.png", "teacher": True})),
)
async def predict(
    context: ContextDep, tenant: TenantDep, job_id: str, upload: Pictures, accept: Accept = None
) -> PredictionOut | Response:
    """The student's answers to a few pictures (multipart/form-data) or texts (JSON), and its teachers' if asked for. A
    worker runs the networks shut in as a job, on its CPU; it keeps them ready for a minute, so that the first request
    takes seconds and those after it milliseconds. With `Accept: text/event-stream` texts come as they are written:
    `text` events, then one `answer` or `failed`. Nothing of a request is kept once it is answered."""
    kind = best(accept, ["application/json", SSE])
    asked = await run_in_threadpool(read, upload)
    question = await context.lanes.writing.run(service.ask, context, tenant, job_id, asked)
    if kind == SSE:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(service.streamed(context, question), media_type=SSE, headers=headers)
    return await service.answered(context, question)
