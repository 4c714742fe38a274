"""Evaluation: spec -> adversarial examples -> predictions -> scores -> report."""

from counteract.evaluation.environment import describe_environment
from counteract.evaluation.report import FOOTNOTE, accuracy_table, write_results
from counteract.evaluation.runner import Evaluation, Watcher, evaluate
from counteract.evaluation.spec import EvaluationSpec, make_spec, preset_for, read_spec

__all__ = [
    "FOOTNOTE",
    "Evaluation",
    "EvaluationSpec",
    "Watcher",
    "accuracy_table",
    "describe_environment",
    "evaluate",
    "make_spec",
    "preset_for",
    "read_spec",
    "write_results",
]
