"""A prober of a network with the defence of a spec, for tests of what an audit asks."""

from __future__ import annotations

from typing import Any

import torch
from effort import TINY
from torch import nn
from watching import Watcher

from counteract._batches import BatchSize
from counteract.auditing.probes import Prober
from counteract.datasets import Dataset
from counteract.evaluation import Inputs, Network, make_spec
from counteract.evaluation.subject import Subject

CPU = torch.device("cpu")


def prober(network: nn.Module, data: Dataset, **changes: Any) -> Prober:
    """A prober of the first defence of a spec, which is none."""
    fields = {
        "dataset": "digits", "models": {"net": "net"}, "attacks": ["clean"], "defences": ["undefended"],
        "threat_model": {"eps": "8/255"}, "eps_step": "1/255", "preset": TINY,
    }  # fmt: skip
    spec, watcher = make_spec(fields | changes, "test"), Watcher()
    inputs = Inputs(data, {"net": Network("net", network)}, lambda: data)
    subject = Subject("net", spec, inputs, CPU)
    judged = subject.judged(spec.variants()[0], targeted=False)
    return Prober(subject, judged, inputs, spec, BatchSize(None, CPU, watcher.warn), watcher)
