"""Every defence that ART ships: it is evaluated, or there is a reason why it is not."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

import art.defences.postprocessor
import art.defences.preprocessor
import pytest
from art.defences.preprocessor import ThermometerEncoding
from torch import Tensor, nn

from counteract import DefendedModule, evaluate
from counteract.datasets import Dataset

EVALUATED = {
    "ClassLabels": "ClassLabels",
    "Cutout": "Cutout(length=8)",
    "CutoutPyTorch": "CutoutPyTorch(length=8)",
    "FeatureSqueezing": "FeatureSqueezing(bit_depth=3)",
    "GaussianAugmentation": "GaussianAugmentation(sigma=0.1)",
    "GaussianNoise": "GaussianNoise",
    "HighConfidence": "HighConfidence",
    "JpegCompression": "JpegCompression(quality=50)",
    "ReverseSigmoid": "ReverseSigmoid",
    "Rounded": "Rounded",
    "SpatialSmoothing": "SpatialSmoothing",
    "SpatialSmoothingPyTorch": "SpatialSmoothingPyTorch",
    "TotalVarMin": "TotalVarMin(max_iter=2)",
}

LEFT_OUT = {
    "CutMix", "CutMixPyTorch", "CutMixTensorFlowV2", "CutoutTensorFlowV2", "LabelSmoothing",
    "Mixup", "MixupPyTorch", "MixupTensorFlowV2", "Mp3Compression", "Mp3CompressionPyTorch", "PixelDefend", "Resample",
    "SpatialSmoothingTensorFlowV2", "ThermometerEncoding", "VideoCompression", "VideoCompressionPyTorch",
}  # fmt: skip
"""Those that docs/your-own-defence.md gives a reason for; those for TensorFlow in one line."""

BASES = {"Preprocessor", "Postprocessor"}


def test_every_one_is_evaluated_or_left_out_for_a_reason() -> None:
    homes = (art.defences.preprocessor, art.defences.postprocessor)
    shipped = {name for home in homes for name, kind in vars(home).items() if inspect.isclass(kind)} - BASES
    assert shipped - EVALUATED.keys() - LEFT_OUT == set()
    page = (Path(__file__).parents[2] / "docs" / "your-own-defence.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in (EVALUATED.keys() | LEFT_OUT) if "TensorFlow" not in name)


@pytest.mark.parametrize("name", EVALUATED)
def test_it_is_evaluated_before_one_of_ours(name: str, digits_net: nn.Module, digits: Dataset) -> None:
    if name == "SpatialSmoothingPyTorch" and importlib.util.find_spec("kornia") is None:
        pytest.skip("it needs kornia")
    full = f"art:{EVALUATED[name]}"
    last = hasattr(art.defences.postprocessor, name)
    joined = f"rotation(executions=2)+{full}" if last else f"{full}+rotation(executions=2)"
    run = evaluate(
        digits_net, digits.take(8), defences=[full, joined], attacks=["clean", "bpda-apgd-ce"], preset="quick", draws=2
    )
    accuracy = {(row.defence, row.attack): row.accuracy for row in run.rows}
    assert len(accuracy) == 4
    assert accuracy[full, "clean"] > 0
    ((_, words),) = run.parameters("network", full)
    assert words.startswith(f"art:{name}")


def test_an_encoding_needs_a_network_of_its_own(digits_net: nn.Module, digits: Dataset) -> None:
    with pytest.raises(ValueError, match="defence art:ThermometerEncoding: the network does not take what it makes of"):
        evaluate(digits_net, digits.take(2), defences=["art:ThermometerEncoding"], attacks=["clean"])


def test_an_encoded_network_is_a_whole_module(digits: Dataset) -> None:
    class Encoded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(30 * 32 * 32, 10)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.linear(x.flatten(1))
            return found

    encoding = ThermometerEncoding((0, 1), num_space=10, channels_first=True)
    whole = DefendedModule(Encoded().eval(), preprocessing_defences=[encoding])
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).eval()
    run = evaluate(plain, digits.take(8), defences=[whole], attacks=["clean", "bpda-apgd-ce"], preset="quick")
    assert {row.attack for row in run.rows} == {"clean", "bpda-apgd-ce"}
