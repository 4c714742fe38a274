"""Facts about networks: by card, by RobustBench's names, by a factory's source."""

from __future__ import annotations

import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from counteract._errors import UserError
from counteract.models import card_of, load_network, read_card, save_network, shipped_models
from counteract.models.about import About, about


def test_shipped_networks_and_files_tell_their_card(tmp_path: Path) -> None:
    for name in shipped_models():
        method, dataset, classes = name.rpartition("-")[2], name.partition("-")[0], card_of(name).class_names
        assert about(name) == About(method=method, dataset=dataset)
        assert about(name).training.startswith(f"{method} by ")
        assert about(name).class_names == classes
        assert len(classes) == 10
    path = tmp_path / "mine.safetensors"
    card = card_of("digits-resnet-iat").model_copy(update={"method": "standard"})
    with as_file(files("counteract.models") / "weights" / "digits-resnet-iat.safetensors") as shipped:
        save_network(load_network(shipped), card, path)
    assert read_card(path).method == about(str(path)).method == "standard"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cifar10/Linf/Wong2020Fast", About("adversarial", "cifar10", "Linf", 8 / 255)),
        ("cifar10/L2/Engstrom2019Robustness", About("adversarial", "cifar10", "L2", 0.5)),
        ("cifar100/Linf/Rice2020Overfitting", About("adversarial", "cifar100", "Linf", 8 / 255)),
        ("imagenet/Linf/Salman2020Do_R18", About("adversarial", "imagenet", "Linf", 4 / 255)),
        ("cifar10/Linf/Standard", About(None, "cifar10", "Linf", 8 / 255)),
        ("imagenet/Linf/Standard_R50", About(None, "imagenet", "Linf", 4 / 255)),
        ("cifar10/corruptions/Hendrycks2020AugMix_WRN", About(None, "cifar10", "corruptions", None)),
        ("imagenet/corruptions_3d/Hendrycks2020Many", About(None, "imagenet", "corruptions", None)),
    ],
)
def test_robustbenchs_names_tell_the_published_threat_model(name: str, expected: About) -> None:
    assert about(f"robustbench:{name}") == expected


def test_every_leaderboard_with_a_norm_has_an_eps() -> None:
    from counteract.robustbench.zoo import PUBLISHED_EPS, zoo

    try:
        entries = zoo()
    except UserError:
        pytest.skip("needs RobustBench: pip install '.[robustbench]'")
    boards = {(entry.dataset, entry.threat_model) for entry in entries}
    assert {board for board in boards if board[1] != "corruptions"} == set(PUBLISHED_EPS)


def test_a_factory_tells_the_code_of_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"front_{tmp_path.name}"
    Path(f"{name}_inner.py").write_text("from networks import TinyNet\ndef make(): return TinyNet()\n")
    Path(f"{name}.py").write_text(f"from {name}_inner import make\nown = lambda: make()\nkept = make()\n")
    front, inner = Path(f"{name}.py").read_text(), Path(f"{name}_inner.py").read_text()
    assert about(f"{name}:own") == About(source=(f"{name}:own", front))
    assert about(f"{name}:kept") == About(source=(f"{name}:kept", front))
    assert about(f"{name}:make") == About(source=(f"{name}:make", front, inner))
    assert about("builtins:len") == About(source=("builtins:len",))
    Path(f"{name}_inner.py").write_text(inner + "# edited\n")
    for module in (name, f"{name}_inner"):
        del sys.modules[module]
    assert about(f"{name}:make").source[2] == inner + "# edited\n"


def test_no_network_has_no_facts() -> None:
    with pytest.raises(UserError, match="cannot be read"):
        about("nothing.safetensors")
    with pytest.raises(UserError, match="must be robustbench:"):
        about("robustbench:Wong2020Fast")
    with pytest.raises(UserError, match="cannot be imported"):
        about("no_such_module_anywhere:make")
