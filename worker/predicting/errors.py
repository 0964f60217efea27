"""What goes wrong between a request and its predictor."""

from __future__ import annotations

from distill.errors import RetortError


class PredictorDied(RetortError):
    """The predictor ended in the middle of a request; the next request starts a new one."""

    code = "predictor_died"
    retryable = True


class PredictionTimeout(RetortError):
    """No answer within the longest wait."""

    code = "prediction_timeout"
    retryable = True
