"""RobustBench's zoo: names, published accuracies, checkpoints in its layout, and our networks in its own functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import TinyNet
from torch import Tensor, nn
from zoo import Host, write_checkpoints

from counteract import Counteraction, DefendedModule, GaussianNoise, load_model
from counteract._errors import UserError
from counteract.models.checks import probe

SMALL = "cifar10/Linf/Wong2020Fast"
IMAGES = probe((3, 32, 32))


class Mangled(nn.Module):
    """A network that RobustBench's own loader cannot load: it cuts letters off these names."""

    def __init__(self) -> None:
        super().__init__()
        self.base_model = TinyNet()
        self.submodule = nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.submodule(self.base_model(x))
        return logits


@pytest.fixture
def definitions(zoo: Any) -> Iterator[dict[str, Any]]:
    """RobustBench's definitions for cifar10/Linf, restored afterwards."""
    models: dict[str, Any] = zoo._dictionaries()["cifar10"]["Linf"]
    before = dict(models)
    yield models
    models.clear()
    models.update(before)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    mine, its = one.state_dict(), other.state_dict()
    return mine.keys() == its.keys() and all(torch.equal(value, its[name]) for name, value in mine.items())


def test_the_zoo_is_listed_with_what_was_published(zoo: Any) -> None:
    every = zoo.zoo()
    assert len(every) == 206
    assert all(entry.architecture and 0 <= entry.robust <= 100 and entry.clean > 20 for entry in every)
    (found,) = [entry for entry in every if entry.full_name == "robustbench:cifar10/Linf/Engstrom2019Robustness"]
    assert (found.architecture, found.clean, found.robust) == ("ResNet-50", 87.03, 49.25)
    (found,) = [
        entry for entry in every if entry.full_name == "robustbench:cifar100/corruptions/Hendrycks2020AugMix_WRN"
    ]
    assert (found.architecture, found.clean, found.robust) == ("WideResNet-40-2", 76.28, 64.11)


def test_the_list_is_restricted(zoo: Any) -> None:
    assert {(entry.dataset, entry.threat_model) for entry in zoo.zoo("cifar10", "L2")} == {("cifar10", "L2")}
    assert {entry.dataset for entry in zoo.zoo(threat_model="L2")} == {"cifar10"}
    assert zoo.zoo("imagenet", "corruptions_3d") == zoo.zoo("imagenet", "corruptions") != []
    with pytest.raises(UserError, match="RobustBench dataset 'cifar11' is not known; did you mean cifar10"):
        zoo.zoo("cifar11")
    with pytest.raises(UserError, match="RobustBench threat model 'L2' is not known"):
        zoo.zoo("cifar100", "L2")


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("robustbench:Wong2020Fast", "must be robustbench:DATASET/THREAT_MODEL/NAME"),
        ("robustbench:cifar10/Linf/Wong2020Fats", "did you mean Wong2020Fast"),
        ("robustbench:mnist/Linf/Wong2020Fast", "RobustBench dataset 'mnist' is not known"),
        ("robustbench:cifar10/L3/Wong2020Fast", "RobustBench threat model 'L3' is not known"),
    ],
)
def test_an_unknown_name_is_told_from_the_known(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_model(name)


def test_a_file_in_the_layout_is_used(zoo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_checkpoints(zoo, SMALL, tmp_path)
    monkeypatch.setattr(zoo, "download", None)  # nothing is downloaded
    loaded = load_model(f"robustbench:{SMALL}", model_dir=tmp_path)
    assert same_weights(loaded, written)
    assert not loaded.training
    own = zoo.import_robustbench().load_model("Wong2020Fast", tmp_path, "cifar10", "Linf")
    assert torch.equal(loaded(IMAGES), own(IMAGES))


def test_a_missing_file_is_downloaded_to_the_layout(
    zoo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Host
) -> None:
    written = write_checkpoints(zoo, SMALL, tmp_path / "there")
    content = (tmp_path / "there" / f"{SMALL}.pt").read_bytes()
    monkeypatch.setattr(zoo, "_DRIVE", f"{host.address}/{{}}")
    host.pages[f"/{zoo._definition(zoo._find(SMALL))['gdrive_id']}"] = content
    for _ in range(2):
        assert same_weights(load_model(f"robustbench:{SMALL}", model_dir=tmp_path / "here"), written)
    assert (tmp_path / "here" / f"{SMALL}.pt").read_bytes() == content
    assert len(host.requests) == 1


def test_offline_one_line_says_which_file_to_put_where(
    zoo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "_DRIVE", "http://127.0.0.1:9/{}")
    with pytest.raises(UserError) as failure:
        load_model(f"robustbench:{SMALL}", model_dir=tmp_path)
    message = str(failure.value)
    assert message.startswith("Wong2020Fast.pt could not be downloaded")
    assert message.endswith(f"save it as {tmp_path / 'cifar10' / 'Linf' / 'Wong2020Fast.pt'}")
    assert "\n" not in message


def test_an_entry_of_timm_has_an_address_too(zoo: Any) -> None:
    entry = zoo._find("cifar10/Linf/Debenedetti2022Light_XCiT-S12")
    definition = zoo._definition(entry)
    assert definition["gdrive_id"] is None
    address = zoo._address(entry, definition, zoo._build(entry, definition), 0)
    assert address.endswith("debenedetti2022light-xcit-s-cifar10-linf.pth.tar")


@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_networks_whose_names_hold_model_are_loaded(
    zoo: Any, tmp_path: Path, definitions: dict[str, Any], prefix: str
) -> None:
    definitions["Mangled"] = {"model": Mangled, "gdrive_id": "none"}
    written = Mangled().eval()
    (tmp_path / "cifar10" / "Linf").mkdir(parents=True)
    state = {prefix + name: value for name, value in written.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "cifar10" / "Linf" / "Mangled.pt")
    if "model." not in prefix:
        with pytest.raises(RuntimeError, match="Missing key"):
            zoo.import_robustbench().load_model("Mangled", tmp_path)
    assert same_weights(load_model("robustbench:cifar10/Linf/Mangled", model_dir=tmp_path), written)


def test_weights_that_are_missing_are_not_left_random(zoo: Any, tmp_path: Path) -> None:
    written = write_checkpoints(zoo, SMALL, tmp_path)
    path = tmp_path / f"{SMALL}.pt"
    state = dict(written.state_dict())
    torch.save({name: value for name, value in state.items() if name not in ("mu", "sigma")}, path)
    load_model(f"robustbench:{SMALL}", model_dir=tmp_path)  # old files lack these constants, as RobustBench knows
    del state["linear.weight"], state["mu"], state["sigma"]
    torch.save(state, path)
    with pytest.raises(UserError, match=r"1 of its tensors are missing, linear\.weight first"):
        load_model(f"robustbench:{SMALL}", model_dir=tmp_path)
    torch.save(TinyNet().state_dict(), path)
    with pytest.raises(UserError, match="do not fit"):
        load_model(f"robustbench:{SMALL}", model_dir=tmp_path)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_as_timm_publishes_them_are_loaded(zoo: Any, tmp_path: Path, prefix: str) -> None:
    """They are those of the inner network, without the normalisation in front; in XCiT, with the queries not split."""
    name = "cifar10/Linf/Debenedetti2022Light_XCiT-S12"
    written = write_checkpoints(zoo, name, tmp_path)
    inner = written.get_submodule("model").state_dict()
    for index in range(2):
        block = f"cls_attn_blocks.{index}.attn"
        for kind in ("weight", "bias"):
            inner[f"{block}.qkv.{kind}"] = torch.cat([inner.pop(f"{block}.{letter}.{kind}") for letter in "qkv"])
    torch.save({prefix + key: value for key, value in inner.items()}, tmp_path / f"{name}.pt")
    assert same_weights(load_model(f"robustbench:{name}", model_dir=tmp_path), written)


def test_tensors_held_as_attributes_follow_their_network(zoo: Any) -> None:
    module = nn.Linear(2, 2)
    module.offset = torch.ones(2)
    before = set(module.state_dict())
    zoo._adopt_tensors(module)
    assert module.to(torch.float64).offset.dtype == torch.float64
    assert set(module.state_dict()) == before
    module.offset = torch.zeros(2)  # as networks do that keep a copy per device


@pytest.mark.parametrize("make", [TinyNet, Mangled, lambda: DefendedModule(TinyNet(), transforms=[GaussianNoise()])])
def test_a_network_trained_here_is_found_by_robustbench(
    zoo: Any, tmp_path: Path, definitions: dict[str, Any], make: Callable[[], nn.Module]
) -> None:
    package = zoo.import_robustbench()
    network = make().train()
    path = zoo.register(network, "Mine2026", model_dir=tmp_path)
    zoo.register(network, "Mine2026", model_dir=tmp_path)  # again is fine
    assert path == tmp_path / "cifar10" / "Linf" / "Mine2026.pt"
    network.add_module("later", nn.Linear(1, 1))
    found = package.load_model("Mine2026", tmp_path, "cifar10", "Linf")
    del network.later
    assert same_weights(found, network)
    assert same_weights(load_model("robustbench:cifar10/Linf/Mine2026", model_dir=tmp_path), network)


def test_registering_under_a_bad_name_is_refused(zoo: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'Wong2020Fast' is taken"):
        zoo.register(TinyNet(), "Wong2020Fast", model_dir=tmp_path)
    with pytest.raises(UserError, match="name must be letters"):
        zoo.register(TinyNet(), "../Wong", model_dir=tmp_path)
    with pytest.raises(UserError, match="RobustBench threat model"):
        zoo.register(TinyNet(), "Mine", threat_model="L7", model_dir=tmp_path)


def test_a_defended_network_goes_through_robustbenchs_clean_accuracy(zoo: Any) -> None:
    clean_accuracy = zoo.import_robustbench().utils.clean_accuracy
    network = TinyNet().eval()
    x = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    y = network(x).argmax(1)
    assert clean_accuracy(DefendedModule(network), x, y, batch_size=7) == 1
    defended = DefendedModule(network, preprocessing_defences=[Counteraction(network, num_labels=2)])
    with torch.no_grad():
        torch.manual_seed(0)
        expected = torch.cat([defended(batch).argmax(1) == y[i * 7 : i * 7 + 7] for i, batch in enumerate(x.split(7))])
    torch.manual_seed(0)
    assert clean_accuracy(defended, x, y, batch_size=7) == pytest.approx(expected.float().mean().item())


@pytest.mark.parametrize(("norm", "eps"), [("Linf", 0.3), ("L2", 8.0)])
def test_a_defended_network_goes_through_robustbenchs_benchmark(
    zoo: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    norm: str,
    eps: float,
) -> None:
    package = zoo.import_robustbench()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10)).eval()
    x = torch.rand(6, 3, 8, 8)
    y = network(x).argmax(1)
    y[0] = (y[0] + 1) % 10
    monkeypatch.setattr(package.eval, "load_clean_dataset", lambda *_: (x, y))
    monkeypatch.chdir(tmp_path)
    defended = DefendedModule(network, transforms=[GaussianNoise(std=0.001)], executions=2)
    defended.eval()
    for state in (None, tmp_path / "state.json"):
        clean, robust = package.benchmark(
            defended,
            n_examples=6,
            dataset="cifar10",
            threat_model=norm,
            eps=eps,
            batch_size=4,
            log_path=str(tmp_path / "log.txt"),
            aa_state_path=state,
            to_disk=True,
            model_name="Mine",
        )
        assert (clean, robust) == (pytest.approx(5 / 6), 0)
    assert (tmp_path / "model_info" / "cifar10" / norm / "Mine.json").is_file()
    assert "not eligible for its leaderboard" in capsys.readouterr().out
    assert "not eligible for its leaderboard" in (tmp_path / "log.txt").read_text()
