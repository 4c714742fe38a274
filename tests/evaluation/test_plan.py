"""The plan: every cell once, its keys, and the cells that there cannot be."""

from __future__ import annotations

from typing import Any

import torch
from networks import TinyNet

from counteract.datasets import Dataset
from counteract.evaluation import Inputs, Network, make_spec
from counteract.evaluation.blocks import Block
from counteract.evaluation.plan import Plan, make_plan, unit_key
from counteract.evaluation.probe import ProbeStore
from counteract.evaluation.subject import Subject

SPEC: dict[str, Any] = {
    "dataset": "digits",
    "models": ["a", "b"],
    "attacks": ["clean", "pgd2", "apgd-t"],
    "defences": ["undefended", "rotation"],
    "seeds": 2,
}


def plan(digits: Dataset, classes: int = 10, **changes: Any) -> Plan:
    spec = make_spec(SPEC | changes, "test")
    few = digits.take(8)
    names = few.class_names[:classes]
    inputs = Inputs(few, {label: Network(label, TinyNet(len(names)).eval()) for label in spec.models}, lambda: few)
    subjects = [Subject(label, spec, inputs, torch.device("cpu")) for label in spec.models]
    return make_plan(spec, subjects, ProbeStore(None, print))


def test_every_cell_and_seed_once(digits: Dataset) -> None:
    found = plan(digits)
    places = [task.place for task in found.tasks]
    assert len({(p.model, p.attack, p.defence, p.seed) for p in places}) == len(places) == 2 * 3 * 2 * 2
    assert found.obstacles == {}
    of_a = [place.key for place in places if place.model == "a"]
    assert len(set(of_a)) == len(of_a)
    assert of_a == [place.key for place in places if place.model == "b"]  # the same network under two labels


def test_a_cascade_knows_the_cells_before(digits: Dataset) -> None:
    every = [task for task in plan(digits, cascade=True, models=["a"]).tasks if task.place.seed == 1]
    first, second, third = (task for task in every if task.place.defence == "rotation")
    assert (first.after, second.after, third.after) == ((), (first.place.key,), (first.place.key, second.place.key))
    plain = {task.place.key for task in plan(digits, models=["a"]).tasks}
    assert every[0].place.key in plain
    assert first.place.key not in plain  # of a defence that draws a cascade asks more before it gives an example up
    assert second.place.key not in plain


def test_the_places_of_another_process_count(digits: Dataset) -> None:
    made = plan(digits, cascade=True, models=["a"])
    others = [task.place.__class__(**vars(task.place) | {"key": f"their {task.place.key}"}) for task in made.tasks]
    moved = made.at(others)
    assert [task.place for task in moved.tasks] == others
    assert all(key.startswith("their ") for task in moved.tasks for key in task.after)


def test_a_unit_is_known_by_its_cell_and_the_content_and_place_of_its_block() -> None:
    blocks = [Block(0, 8, "a"), Block(0, 8, "b"), Block(8, 16, "a")]
    keys = {unit_key(cell, block) for cell in ("x", "y") for block in blocks}
    assert len(keys) == 6


def test_rounded_images_are_other_measurements(digits: Dataset) -> None:
    plain, rounded = ({task.place.key for task in plan(digits, pixels=kind).tasks} for kind in ("float", "8-bit"))
    assert not plain & rounded


def test_modules_that_are_passed_over_make_other_examples_and_none_leave_keys_as_they_were(digits: Dataset) -> None:
    plain, over = (plan(digits, models=["a"], bpda_at=names) for names in ([], ["norm"]))
    assert not {task.place.key for task in plain.tasks} & {task.place.key for task in over.tasks}
    assert plain.tasks[0].place.key == plan(digits, models=["a"]).tasks[0].place.key
