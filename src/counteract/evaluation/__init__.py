"""Evaluation: spec -> plan -> adversarial examples -> answers -> journal -> results, block by block."""

from counteract._extras import needing

with needing("evaluate"):
    from counteract.evaluation.api import evaluate
    from counteract.evaluation.cache import ExampleCache, default_cache
    from counteract.evaluation.experiments import experiment_names, read_spec, spec_for_dataset, with_models
    from counteract.evaluation.folder import read_run
    from counteract.evaluation.inputs import Inputs, Network, load_inputs
    from counteract.evaluation.options import RunOptions, Watcher
    from counteract.evaluation.results import Run, write_results
    from counteract.evaluation.runner import evaluate_spec
    from counteract.evaluation.spec import EvaluationSpec, make_spec

__all__ = [
    "EvaluationSpec",
    "ExampleCache",
    "Inputs",
    "Network",
    "Run",
    "RunOptions",
    "Watcher",
    "default_cache",
    "evaluate",
    "evaluate_spec",
    "experiment_names",
    "load_inputs",
    "make_spec",
    "read_run",
    "read_spec",
    "spec_for_dataset",
    "with_models",
    "write_results",
]
