"""Many files: a work list that survives, workers that may die, a record a file.

`Batch` keeps RESULTS; an `Engine` does the work. `LocalEngine` does it in processes of this
machine, each with an `AnalyzeTask` loaded once; `RayEngine` does it on the nodes of a Ray cluster.
"""

from dashfusion_models.folder.batch import Batch, Plan, Wanted
from dashfusion_models.folder.engine import Engine
from dashfusion_models.folder.jobs import FAILURE_SCHEMA, Job, Outcome, Stop, Task, Work, attempt
from dashfusion_models.folder.limits import (
    TimeLimit,
    thread_environment,
    worker_bytes,
    worker_count,
)
from dashfusion_models.folder.local import LocalEngine
from dashfusion_models.folder.pace import Pace
from dashfusion_models.folder.ray_cluster import Cluster, require_ray
from dashfusion_models.folder.ray_engine import RayEngine, shared_out
from dashfusion_models.folder.recipe import Recipe
from dashfusion_models.folder.survey import Facts, Survey, Surveyor
from dashfusion_models.folder.task import AnalyzeTask

__all__ = [
    "FAILURE_SCHEMA",
    "AnalyzeTask",
    "Batch",
    "Cluster",
    "Engine",
    "Facts",
    "Job",
    "LocalEngine",
    "Outcome",
    "Pace",
    "Plan",
    "RayEngine",
    "Recipe",
    "Stop",
    "Survey",
    "Surveyor",
    "Task",
    "TimeLimit",
    "Wanted",
    "Work",
    "attempt",
    "require_ray",
    "shared_out",
    "thread_environment",
    "worker_bytes",
    "worker_count",
]
