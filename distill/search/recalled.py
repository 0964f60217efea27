"""Optuna's storage of one study whose trials are known already: nothing is copied, so that asking stays cheap."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

ONLY = 0
"""Id of the one study."""


class Recalled(BaseStorage):
    """`trials`: those that are known, each with its place as number and id. A trial that is written to gives way to a
    copy, so that the given ones may be kept for the next question. Readers must not change what they get."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        self._trials, self._directions, self._name = list(trials), list[StudyDirection](), ""
        self._system_attrs: dict[str, Any] = {}
        self._user_attrs: dict[str, Any] = {}

    # ---- the study

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        self._directions, self._name = list(directions), study_name or ""
        return ONLY

    def delete_study(self, study_id: int) -> None:
        raise NotImplementedError

    def get_all_studies(self) -> list[Any]:
        raise NotImplementedError

    def get_study_id_from_name(self, study_name: str) -> int:
        return ONLY

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._system_attrs

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._user_attrs

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._system_attrs[key] = value

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._user_attrs[key] = value

    # ---- its trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        number = len(self._trials)
        self._trials.append(copy.deepcopy(template_trial) if template_trial else running(number))
        return number

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._trials[trial_id]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]

    def _own(self, trial_id: int) -> FrozenTrial:
        """The trial, as one that may be written to."""
        trial = copy.copy(self._trials[trial_id])
        trial.intermediate_values, trial.params = dict(trial.intermediate_values), dict(trial.params)
        trial.distributions, trial.system_attrs = dict(trial.distributions), dict(trial.system_attrs)
        trial.user_attrs = dict(trial.user_attrs)
        self._trials[trial_id] = trial
        return trial

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        trial = self._own(trial_id)
        trial.params |= {param_name: distribution.to_external_repr(param_value_internal)}
        trial.distributions |= {param_name: distribution}

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._own(trial_id).intermediate_values[step] = intermediate_value

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        trial = self._own(trial_id)
        trial.state = state
        if values is not None:
            trial.values = list(values)
        return True

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._own(trial_id).system_attrs[key] = value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._own(trial_id).user_attrs[key] = value


def running(number: int) -> FrozenTrial:
    """A trial that has just begun, without parameters."""
    return FrozenTrial(number, TrialState.RUNNING, None, None, None, {}, {}, {}, {}, {}, number)
