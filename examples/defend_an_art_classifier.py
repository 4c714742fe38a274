"""A defence in front of an ART classifier, attacked by ART: without knowledge of the defence, and with it."""

from __future__ import annotations

import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier

from counteract import Counteraction, load_model
from counteract.datasets import load_dataset

EPS = 12 / 255


def classifier(*defences: Counteraction) -> PyTorchClassifier:
    """Returns the digits network as an ART classifier, with these defences in front."""
    return PyTorchClassifier(
        network, torch.nn.CrossEntropyLoss(), (3, 32, 32), 10, clip_values=(0, 1), preprocessing_defences=list(defences)
    )


network = load_model("digits-resnet-mixup")
data = load_dataset("digits").take(32)
images, labels = data.images.numpy(), data.labels.numpy()
undefended = classifier()
defended = classifier(Counteraction(network, eps=EPS, eps_step=EPS / 2))

for attacker, target in (("oblivious", undefended), ("adaptive", defended)):
    attack = ProjectedGradientDescent(target, eps=EPS, eps_step=EPS / 4, max_iter=10, verbose=False)
    adversarial = attack.generate(images, labels)
    for name, asked in (("undefended", undefended), ("defended", defended)):
        right = (asked.predict(adversarial).argmax(1) == labels).mean()
        print(f"{attacker} attack, {name} network: {100 * right:.0f}% right")
