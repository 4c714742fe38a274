"""`counteract evaluate`: parse, call, print."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from counteract._errors import UserError
from counteract._processes import is_first
from counteract.cli import options
from counteract.cli.app import app

if TYPE_CHECKING:
    from counteract.evaluation import Run


@app.command()
def evaluate(
    spec: Annotated[
        str | None, typer.Argument(help="table1 ... figure3, or a TOML file; without one, the dataset's own.")
    ] = None,
    dataset: options.DatasetOption = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A name, .safetensors, robustbench:..., package.module:factory, or label=any; repeats."),
    ] = None,
    weights: options.WeightsOption = None,
    mean: options.MeanOption = None,
    std: options.StdOption = None,
    model_dir: options.ModelDirOption = Path("models"),
    trust: options.TrustOption = False,
    defence: Annotated[
        list[str] | None, typer.Option(help="none, counteraction, crop-resize, ..., joined with +; repeats.")
    ] = None,
    attack: Annotated[
        list[str] | None, typer.Option(help="none, pgd10, pgd50-targeted, apgd-ce, bpda-apgd-ce, ...; repeats.")
    ] = None,
    budget: options.BudgetOption = None,
    limit: options.LimitOption = None,
    seeds: options.SeedsOption = None,
    draws: options.DrawsOption = None,
    precision: options.PrecisionOption = None,
    error: options.ErrorOption = None,
    pool: options.PoolOption = None,
    batch_size: options.BatchSizeOption = None,
    device: options.DeviceOption = "auto",
    data_dir: options.DataDirOption = None,
    cache: options.CacheOption = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for results and reports; a run that was killed goes on there.")
    ] = None,
) -> None:
    """Measures defences against attacks, oblivious or adaptive. Without arguments: digits, offline, in a minute."""
    from counteract import evaluation as ev
    from counteract.cli.progress import ProgressBar
    from counteract.reporting.terminal import print_run

    data = _read(spec, dataset, model)
    overrides: dict[str, Any] = {"defences": defence, "attacks": attack, "limit": limit, "seeds": seeds, "pool": pool}
    overrides |= {"draws": draws, "budget": budget, "precision": precision, "error": error}
    data |= {key: value for key, value in overrides.items() if value is not None}
    data["own_network"] = data.get("own_network", {}) | options.own_network(weights, mean, std)
    if "models" not in data:
        raise UserError(f"dataset {dataset} has no network of its own: name one with --model")
    made = ev.make_spec(data, spec or "options")
    where, cache = options.choose_device(device), cache or ev.default_cache()
    options.make_folder(out)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with ProgressBar(active=is_first()) as watcher:
        run = ev.evaluate(made, ev.Means(where, batch_size, watcher, data_dir, model_dir, trust, cache, out))
    if is_first():
        print_run(run)
        if out is not None:
            _write(run, out)


def _read(spec: str | None, dataset: str | None, model: list[str] | None) -> dict[str, Any]:
    """The spec before the other options: an experiment, a file, or a dataset's own."""
    from counteract.evaluation.experiments import preset_for, read_spec, with_models

    if spec is None:
        data = preset_for(dataset or "digits")
    else:
        data = read_spec(spec) | ({"dataset": dataset} if dataset else {})
    return with_models(data, model) if model else data


def _write(run: Run, folder: Path) -> None:
    """Writes results and reports, and says where."""
    from counteract.evaluation import write_results
    from counteract.reporting.write import write_reports

    for path in (write_results(run, folder), *write_reports(run, folder)):
        typer.echo(f"written: {path}")
