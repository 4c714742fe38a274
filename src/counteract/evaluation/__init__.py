"""Evaluation: spec -> adversarial examples -> predictions -> scores -> record."""

from counteract.evaluation.cache import ExampleCache, default_cache
from counteract.evaluation.experiments import experiment_names, preset_for, read_spec, with_models
from counteract.evaluation.means import Means, Watcher
from counteract.evaluation.record import Run, read_run, write_results
from counteract.evaluation.runner import evaluate
from counteract.evaluation.spec import EvaluationSpec, make_spec

__all__ = [
    "EvaluationSpec",
    "ExampleCache",
    "Means",
    "Run",
    "Watcher",
    "default_cache",
    "evaluate",
    "experiment_names",
    "make_spec",
    "preset_for",
    "read_run",
    "read_spec",
    "with_models",
    "write_results",
]
