"""A network with a defence: what reports say of its draws."""

from __future__ import annotations

from networks import Drawing, TinyNet, Unrepeatable
from watching import Watcher

from counteract.datasets import Dataset
from counteract.evaluation import RunOptions, evaluate


def test_draws_of_a_defence_that_cannot_be_repeated_are_named(digits: Dataset) -> None:
    words = {"follow the block": Drawing(), "another run differs": Unrepeatable()}
    options = RunOptions(watcher=Watcher())
    for said, defence in words.items():
        defences = ["undefended", defence.eval()]
        found = evaluate(TinyNet().eval(), digits.take(8), defences=defences, attacks=["clean"], options=options)
        assert said in str(found.parameters("network", type(defence).__name__))
