"""A defence under torchattacks' own attacks, by name: on the network without the defence, and through it."""

from __future__ import annotations

from counteract import evaluate, load_model
from counteract.datasets import load_dataset

data = load_dataset("digits").take(32)
run = evaluate(
    load_model("digits-resnet-mixup"),
    data,
    defences=["undefended", "counteraction(eps=12/255, eps_step=6/255)"],
    attacks=["clean", "torchattacks:PGD(steps=10)", "torchattacks:PGD(steps=10)@defended"],
    eps=12 / 255,
)
for row in run.rows:
    print(f"{row.defence:45s} {row.attack:40s} {row.accuracy:5.1f}%")
for case in run.worst_cases:
    print(f"{case.defence}: {case.accuracy:.1f}% in the worst case")
