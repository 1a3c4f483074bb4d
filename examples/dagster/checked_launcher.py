"""A run launcher for Dagster that finds out which runs have ended with their code server.

Dagster's own `DefaultRunLauncher` starts runs as child processes of the code server, and leaves the
runs of a code server that was killed or restarted in the state "started" for ever: each of them
takes a place in the queue. With this one, run monitoring asks the code server for its runs. Those
that it does not know have failed, and are retried. It uses parts of Dagster that are not public:
test it again with another version than 1.13.
"""

from __future__ import annotations

from dagster import DagsterRun, DefaultRunLauncher
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value


class CheckedRunLauncher(DefaultRunLauncher):
    """Starts runs in the code server, and tells whether it still has them."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring can ask for the health of a run."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Asks the code server whether it has the process of a run."""
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        asked = CanCancelExecutionRequest(run_id=run.run_id)
        try:
            answer = deserialize_value(client.can_cancel_execution(asked), CanCancelExecutionResult)
        except DagsterUserCodeUnreachableError:
            # It restarts. The next check asks the new one.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if answer.can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The code server was restarted.")
