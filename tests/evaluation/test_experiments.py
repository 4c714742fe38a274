"""The paper's experiments as data, and how a spec is found by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from counteract._errors import UserError
from counteract.attacks.preset import AttackPreset
from counteract.attacks.registry import find_attack
from counteract.evaluation.experiments import experiment_names, read_spec, spec_for_dataset, with_models
from counteract.evaluation.plan import check_names
from counteract.evaluation.spec import EvaluationSpec, Variant, make_spec


def experiment(name: str) -> EvaluationSpec:
    return make_spec(read_spec(name), name)


def test_every_experiment_and_preset_is_valid() -> None:
    names = [f"table{number}" for number in range(1, 7)]
    halves = [f"{name}-cifar100" for name in ("table3", "table4", "figure1", "figure2", "figure3")]
    ours = [
        "adaptive",
        "art-defences",
        "field",
        "pang",
        "robustbench",
        "steps",
        "perturbations",
        "perturbations-cifar100",
    ]
    readings = ["table2-appendix", "table6-appendix"]
    assert experiment_names() == sorted(["figure1", "figure2", "figure3", *names, *halves, *ours, *readings])
    for name in experiment_names():
        check_names(experiment(name))
    for name in ("cifar10", "cifar100", "digits"):
        data = spec_for_dataset(name)
        spec = make_spec(data if data["models"] else with_models(data, ["net"]), name)
        check_names(spec)
        assert spec.dataset == name


@pytest.mark.parametrize(
    ("name", "rows", "columns"), [("table1", 16, 7), ("table2", 16, 7), ("table3", 6, 4), ("table3-cifar100", 6, 4)]
)
def test_the_tables_have_the_papers_rows_and_columns_and_the_clean_images(name: str, rows: int, columns: int) -> None:
    spec = experiment(name)
    assert len(spec.models) * len(spec.defences) == rows
    assert len(spec.attacks) == columns
    assert spec.attacks[0] == "clean"
    assert spec.seeds == 3
    assert (spec.threat_model.eps, spec.step, spec.limit) == (8 / 255, 2 / 255, None)


@pytest.mark.parametrize("name", ["table4", "table4-cifar100"])
def test_table_4_has_both_kinds_of_perturbation(name: str) -> None:
    spec = experiment(name)
    assert len(spec.defences) == 6
    assert {"counteraction", "counteraction-untargeted"} < set(spec.defences)


def test_the_adaptive_experiment_has_attacks_of_every_kind_and_the_papers_defences_and_peers() -> None:
    spec = experiment("adaptive")
    attacks = [find_attack(name) for name in spec.attacks]
    assert {"clean", "pgd50", "apgd-t", "bpda-apgd-t", "smooth", "joint"} <= {attack.name for attack in attacks}
    knowing = [attack.adaptive for attack in attacks]
    assert knowing == sorted(knowing)  # in a cascade the oblivious worst case is whole only if they come first
    assert {"hedge", "anti-adversary", *experiment("table1").defences} < set(spec.defences)
    assert set(spec.models) == {"mixup", "iat"}
    assert spec.limit is not None
    assert spec.limit >= 500
    assert spec.preset == AttackPreset.model_validate({"preset": "standard", "precision": "bf16"})
    assert (spec.draws, spec.cascade) == (3, True)
    found = spec.parameters_for("iat", "iat", targeted=False, variant=spec.variants()[0])
    assert found["crop-pad"]["size"] == (26, 32)


def test_the_field_is_attacked_obliviously_first_and_then_in_every_way_that_knows() -> None:
    spec = experiment("field")
    attacks = [find_attack(name) for name in spec.attacks]
    assert {"clean", "apgd-t", "bpda-apgd-t", "smooth", "joint", "square"} <= {attack.name for attack in attacks}
    knowing = [attack.adaptive for attack in attacks]
    assert knowing == sorted(knowing)
    assert (set(spec.models), spec.limit, spec.draws, spec.cascade) == ({"mixup", "iat"}, 300, 3, True)
    assert next(iter(spec.defences)) == "undefended"


@pytest.mark.parametrize(
    ("table", "model", "targeted", "xie", "guo", "weight", "defence_targeted"),
    [
        ("table1", "mixup", False, (22, 30), (22, 30), 0.5, True),
        ("table1", "mixup", True, (22, 30), (22, 30), 0.5, True),
        ("table1", "iat", False, (26, 32), (24, 32), 0.6, True),
        ("table1", "iat", True, (26, 32), (24, 32), 0.6, True),
        ("table2", "mixup", False, (26, 32), (24, 32), 0.5, True),
        ("table2", "mixup", True, (26, 32), (24, 32), 0.5, True),
        ("table2", "iat", False, (26, 32), (24, 32), 0.6, True),
        ("table2", "iat", True, (24, 32), (24, 32), 0.6, False),
    ],
)
def test_the_papers_tables_5_and_6(
    table: str,
    model: str,
    targeted: bool,
    xie: tuple[int, int],
    guo: tuple[int, int],
    weight: float,
    defence_targeted: bool,
) -> None:
    plain = Variant(name="undefended", defence="undefended")
    given = experiment(table).parameters_for("any label", model, targeted=targeted, variant=plain)
    found = {name: {"targeted": True, **parameters} for name, parameters in given.items()}
    window = (found["crop-pad"]["size"], found["crop-resize"]["size"], found["mixup-inference"]["weight"])
    assert window == (xie, guo, weight)
    executions = [found[name]["executions"] for name in ("crop-pad", "crop-resize", "mixup-inference")]
    assert executions == [50, 50, 30]
    counteraction = found["counteraction"]
    assert (counteraction["eps"], counteraction["eps_step"], counteraction["num_labels"]) == (8 / 255, 4 / 255, 9)
    assert counteraction["targeted"] == defence_targeted


@pytest.mark.parametrize(
    ("defence", "targeted", "by_caption", "by_table_6"),
    [
        ("counteraction", False, True, True),
        ("counteraction", True, False, False),
        ("counteraction+crop-pad", False, True, True),
        ("counteraction+crop-pad", True, False, True),
        ("counteraction+crop-resize", False, True, False),
        ("counteraction+crop-resize", True, False, False),
        ("counteraction+mixup-inference", True, False, False),
    ],
)
def test_both_readings_of_table_6(defence: str, targeted: bool, by_caption: bool, by_table_6: bool) -> None:
    variant = Variant(name=defence, defence=defence)
    for name, wanted in (("table2", by_caption), ("table2-appendix", by_table_6)):
        spec = experiment(name)
        assert ("by Table 6" in spec.reading) == (name == "table2-appendix")
        of_iat = spec.parameters_for("iat", "iat", targeted=targeted, variant=variant)
        assert of_iat["counteraction"].get("targeted", True) == wanted
        assert of_iat["mixup-inference"]["weight"] == 0.6
        assert of_iat["crop-pad"]["size"] == ((24, 32) if targeted else (26, 32))
        of_mixup = spec.parameters_for("mixup", "mixup", targeted=targeted, variant=variant)
        assert of_mixup["counteraction"].get("targeted", True)


def test_both_kinds_of_perturbation_stand_under_every_attack_on_cifar100() -> None:
    spec = experiment("perturbations-cifar100")
    for variant in spec.variants():
        found = spec.parameters_for("iat", "iat", targeted=True, variant=variant)
        assert found["counteraction"].get("targeted", True)
    assert "Table 2" not in spec.reading


def test_the_setup_of_the_source() -> None:
    spec = experiment("pang")
    assert (spec.attack_label, spec.pixels, spec.pool) == ("predicted", "8-bit", "test-augmented")
    assert spec.attacks == experiment("table1").attacks


def test_networks_of_robustbench_have_the_settings_of_their_kind() -> None:
    spec = experiment("robustbench")
    assert sum(name.startswith("robustbench:cifar10/Linf/") for name in spec.models.values()) == 2
    plain = Variant(name="undefended", defence="undefended")
    sizes = {
        method: spec.parameters_for("any", method, targeted=False, variant=plain)["crop-resize"]["size"]
        for method in ("mixup", "iat", "adversarial")
    }
    assert sizes == {"mixup": (22, 30), "iat": (24, 32), "adversarial": (24, 32)}


def test_the_figures_sweep_what_the_paper_sweeps() -> None:
    names = [variant.name for variant in experiment("figure2").variants()]
    assert names == ["undefended", *(f"counteraction@{step}/255" for step in range(1, 9))]
    names = [variant.name for variant in experiment("figure3").variants()]
    assert names == ["undefended", *(f"counteraction@{count}" for count in range(1, 10))]
    names = [variant.name for variant in experiment("figure3-cifar100").variants()]
    assert names == ["undefended", *(f"counteraction@{count}" for count in [*range(1, 10), 12, 16, 20])]
    names = [variant.name for variant in experiment("steps").variants()]
    assert names == ["undefended", *(f"counteraction@{steps}" for steps in (1, 2, 5, 10))]
    for name, shown, over in (("figure1", 8, 100), ("figure1-cifar100", 1, 60)):
        assert (experiment(name).illustrations, experiment(name).gains_over) == (shown, over)


def test_other_networks() -> None:
    data = with_models(read_spec("table1"), ["iat=mine.safetensors"])
    assert data["models"] == {"iat": "mine.safetensors"}
    assert data["settings"] == read_spec("table1")["settings"]  # they follow the networks' own cards
    data = with_models(read_spec("table1"), ["some-network", "package.nets:make"])
    assert data["models"] == {"some-network": "some-network", "package.nets:make": "package.nets:make"}
    make_spec(data, "test")
    labelled = data | {"settings": [{"model": "some-network", "parameters": {}}]}
    assert with_models(labelled, ["another"])["settings"] == []
    assert with_models(read_spec("table1"), ["iat"])["models"] == {"iat": "cifar10-resnet18w16-iat"}


def test_a_file_of_images_starts_from_cifars_preset_without_its_networks() -> None:
    data = spec_for_dataset("some/cifar.npz")
    assert data["dataset"] == "some/cifar.npz"
    assert "models" not in data
    assert not {"size", "num_labels"} & {key for each in data["parameters"].values() for key in each}
    assert spec_for_dataset("cifar10")["parameters"]["counteraction"]["num_labels"] == 9


@pytest.mark.parametrize("name", ["some/cifar.npz", "folder:mine", "my:images", "some/cifar.npz-c:fog:3"])
def test_images_without_a_training_split_are_mixed_with_a_pool_alone(name: str) -> None:
    every = spec_for_dataset("cifar10")["defences"]
    assert spec_for_dataset(name)["defences"] == [each for each in every if "mixup-inference" not in each] != every
    assert spec_for_dataset(name, "pool.npz")["defences"] == every


def test_the_settings_of_a_dataset_are_a_spec_by_its_name(tmp_path: Path) -> None:
    assert read_spec("imagenet") == spec_for_dataset("imagenet")
    path = tmp_path / "mine.toml"
    path.write_text('extends = "imagenet"\ndataset = "folder:mine"\n')
    assert read_spec(str(path)) == spec_for_dataset("imagenet") | {"dataset": "folder:mine"}


def test_a_file_extends_an_experiment(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "table1"\nlimit = 7\n')
    spec = make_spec(read_spec(str(path)), "mine")
    assert (spec.limit, spec.attacks) == (7, experiment("table1").attacks)
    path.write_text('extends = "tabel1"\n')
    with pytest.raises(ValueError, match=r"mine\.toml: extends: experiment 'tabel1' is not known; did you mean table1"):
        read_spec(str(path))


def test_a_file_says_only_the_parameters_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "table6"\n[parameters]\ncounteraction.eps = "4/255"\nrotation.degrees = 5\n')
    table = experiment("table6").parameters
    assert make_spec(read_spec(str(path)), "mine").parameters == {
        **table,
        "counteraction": table["counteraction"] | {"eps": "4/255"},
        "rotation": {"degrees": 5},
    }
    for broken in ("parameters = 3\n", "[parameters]\ncounteraction = 3\n"):
        path.write_text(f'extends = "table6"\n{broken}')
        with pytest.raises(UserError, match=r"parameters.*Input should be a valid dictionary, found 3"):
            make_spec(read_spec(str(path)), "mine")


def test_specs_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"spec .*none\.toml cannot be read: No such file"):
        read_spec(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("dataset = ")
    with pytest.raises(ValueError, match="is not valid TOML"):
        read_spec(str(tmp_path / "bad.toml"))
    with pytest.raises(ValueError, match="experiment 'table' is not known; did you mean table"):
        read_spec("table")
    with pytest.raises(ValueError, match="dataset 'cifar11' is not known; did you mean cifar10"):
        spec_for_dataset("cifar11")


@pytest.mark.parametrize("models", [["a=x", "a=y"], ["a", "a"], ["=x"]])
def test_each_network_has_a_label_of_its_own(models: list[str]) -> None:
    with pytest.raises(UserError, match=f"--model {models[-1]}: each network needs a label of its own"):
        with_models({}, models)


def test_signs_in_a_networks_path_or_arguments_are_no_labels() -> None:
    paths = ["runs/lr=0.1/model.safetensors", "hf:runs/lr=0.1", "./lr=0.2.safetensors"]
    assert with_models({}, paths)["models"] == {path: path for path in paths}
    assert with_models({}, [f"mine={paths[0]}"])["models"] == {"mine": paths[0]}
    named = ["timm:resnet18(num_classes=2)", "mine=torchvision:resnet18(num_classes=2)"]
    found = with_models({}, named)["models"]
    assert found == {
        "timm:resnet18(num_classes=2)": "timm:resnet18(num_classes=2)",
        "mine": "torchvision:resnet18(num_classes=2)",
    }


@pytest.mark.parametrize("settings", [5, [5], "x"])
def test_settings_that_are_none_are_left_for_whoever_refuses_them(settings: object) -> None:
    assert with_models({"settings": settings}, ["net"])["settings"] == settings
