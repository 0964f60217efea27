"""Bodies of /jobs/{id}/predict."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, field_validator

from api.http.openapi import keep_examples
from api.http.schemas import RequestModel, ResponseModel

MOST_INPUTS, MOST_CHARACTERS = 8, 50_000
MOST_PICTURE_BYTES, MOST_BODY_BYTES = 10 * 2**20, 20 * 2**20
MOST_TOKENS = 1024
Text = Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS)]
EXAMPLES: list[Any] = [
    {"inputs": ["The match ended in a draw.", "Shares fell."], "teacher": True},
    {"inputs": ["Name three birds."], "max_tokens": 64, "temperature": 0.7, "seed": 1},
]


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    role: Literal["system", "user", "assistant"] = Field(examples=["user"])
    content: Text = Field(examples=["Name three birds."])


class Picture(BaseModel):
    """A picture within JSON; larger ones are sent as multipart/form-data."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    image: Base64Bytes = Field(description="The file's bytes in base64.", examples=["iVBORw0KGgo="])

    @field_validator("image", mode="before")
    @classmethod
    def _in_base64(cls, given: Any) -> Any:
        """Without line breaks; pydantic skips what is no base64."""
        if not isinstance(given, str):
            return given
        text = "".join(given.split())
        try:
            filled = bool(b64decode(text, validate=True))
        except ValueError:
            filled = False
        if not filled:
            raise ValueError("the picture is not base64; a data: URL is taken without what stands before its comma")
        return text


def _meant(given: Any) -> str:
    """Which form of a sample was meant, so that its errors alone are told."""
    if isinstance(given, (dict, Picture)):
        return "by_picture"
    if isinstance(given, list):
        return "by_messages" if any(isinstance(each, (dict, Message)) for each in given) else "by_pair"
    return "by_text"


Sample = Annotated[
    Annotated[Text, Tag("by_text")]
    | Annotated[list[Text], Field(min_length=2, max_length=2), Tag("by_pair")]
    | Annotated[list[Message], Tag("by_messages")]
    | Annotated[Picture, Tag("by_picture")],
    Discriminator(_meant),
]


class Options(RequestModel):
    """How the networks are asked; of a form every field is its JSON."""

    teacher: bool = Field(False, description="Whether the job's teachers answer too.")
    max_tokens: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="Of a student that writes: tokens of an answer, at most; null: 64."
    )
    temperature: float | None = Field(
        None, ge=0, le=5, description="Of one that writes: 0 or null takes the most probable token, else one is drawn."
    )
    seed: int | None = Field(None, ge=0, lt=2**31, description="Of one that writes: of the draws; null: 0.")

    @property
    def writing(self) -> dict[str, Any]:
        """Those that were given of how a text is written."""
        given = {"max_tokens": self.max_tokens, "temperature": self.temperature, "seed": self.seed}
        return {name: value for name, value in given.items() if value is not None}


class PredictRequest(Options):
    """A few samples for a finished student."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": EXAMPLES})
    inputs: list[Sample] = Field(
        min_length=1,
        max_length=MOST_INPUTS,
        description="Each a text; two texts (a pair, or an instruction with its input); messages of a conversation so "
        "far; or a picture.",
    )


class TeacherAnswer(ResponseModel):
    """A teacher's answer to one input, and how far the student's agrees with it."""

    network: str = Field(description="teacher; of several teacher_1, teacher_2, ...", examples=["teacher"])
    answer: dict[str, Any] = Field(examples=[{"kind": "class", "label": "sport", "index": 2, "probability": 0.98}])
    agreement: float = Field(
        description="In [0, 1]: same class; share of labels or of pixels; F1 of the boxes; ROUGE-L of the texts.",
        examples=[1.0],
    )


class PredictionItem(ResponseModel):
    """What the networks say of one input."""

    student: dict[str, Any] = Field(
        description="By `kind`. class: label, index, probability, top (10 classes). labels: labels, scores, threshold. "
        "boxes: width, height, boxes with label, score and corners x1 y1 x2 y2 in pixels of the picture, sure (the "
        "score to draw from). mask: width, height, png (base64; values are classes), classes with their share. text: "
        "text, tokens, ending (stop, length). features: features.",
        examples=[{"kind": "class", "label": "sport", "index": 2, "probability": 0.91, "top": []}],
    )
    teachers: list[TeacherAnswer]


class NetworkTime(ResponseModel):
    """How long one network took for all inputs."""

    network: str = Field(examples=["student"])
    label: str = Field("", description="What a teacher is called among several.", examples=[""])
    milliseconds: float = Field(examples=[4.2])


class Unable(ResponseModel):
    """A teacher that was asked for and has no answer of the student's kind."""

    network: str = Field(examples=["teacher"])
    reason: str = Field(examples=["it does not know the dataset's classes: 1000 classes, the dataset has 10"])


@keep_examples
class PredictionOut(ResponseModel):
    """The answers, in the order of the inputs."""

    job: str = Field(examples=["job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    task: str = Field(examples=["classify_text"])
    items: list[PredictionItem]
    networks: list[NetworkTime] = Field(description="Those that answered, the student first.")
    unable: list[Unable] = Field(description="Teachers that were asked for and could not answer.")
    warm: bool = Field(description="Whether the student was ready; if not, it was loaded first.", examples=[True])
    milliseconds: float = Field(description="From the request's arrival to its answer.", examples=[38.5])
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "job": "job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
                    "task": "classify_text",
                    "items": [
                        {
                            "student": {"kind": "class", "label": "sport", "index": 2, "probability": 0.91, "top": []},
                            "teachers": [
                                {
                                    "network": "teacher",
                                    "answer": {"kind": "class", "label": "sport", "index": 2, "probability": 0.98},
                                    "agreement": 1.0,
                                }
                            ],
                        }
                    ],
                    "networks": [
                        {"network": "student", "label": "", "milliseconds": 4.2},
                        {"network": "teacher", "label": "", "milliseconds": 21.0},
                    ],
                    "unable": [],
                    "warm": True,
                    "milliseconds": 38.5,
                }
            ]
        },
    )
