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


def test_a_defence_that_draws_once_for_a_whole_batch_is_said_to_have_intervals_that_are_too_narrow(
    digits: Dataset,
) -> None:
    """Five draws of a hundred images are then ten and not five hundred: the truth lies outside in four of ten runs."""
    for how, shared in (("torch", False), ("numpy", True), ("python", True)):
        defence = Drawing(how).eval()
        defences = ["undefended", defence]
        found = evaluate(TinyNet().eval(), digits.take(8), defences=defences, attacks=["clean"])
        assert ("one draw serves a whole batch" in str(found.parameters("network", "Drawing"))) == shared
