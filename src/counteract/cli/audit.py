"""`counteract audit`: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from counteract._errors import UserError
from counteract.cli import options
from counteract.cli.app import app


@app.command()
def audit(
    model: Annotated[
        str | None, typer.Option(help="A name, .safetensors, robustbench:..., package.module:factory.")
    ] = None,
    defence: Annotated[str, typer.Option(help="none, counteraction, crop-resize, ..., joined with +.")] = "none",
    dataset: options.DatasetOption = None,
    weights: options.WeightsOption = None,
    mean: options.MeanOption = None,
    std: options.StdOption = None,
    model_dir: options.ModelDirOption = Path("models"),
    trust: options.TrustOption = False,
    budget: options.BudgetOption = "quick",
    limit: options.LimitOption = 100,
    seeds: options.SeedsOption = 2,
    draws: options.DrawsOption = 5,
    precision: options.PrecisionOption = None,
    error: options.ErrorOption = None,
    pool: options.PoolOption = None,
    batch_size: options.BatchSizeOption = None,
    device: options.DeviceOption = "auto",
    data_dir: options.DataDirOption = None,
    cache: options.CacheOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A file ending in .json, or a folder for audit.json, the run and its reports."),
    ] = None,
) -> None:
    """Attacks a defence in every way there is and raises red flags; exit code 1 if there are any, 0 if it is sound."""
    from counteract import evaluation as ev
    from counteract.cli.progress import ProgressBar
    from counteract.evaluation.audit import audit as run_audit
    from counteract.evaluation.audit import audit_spec, write_audit
    from counteract.reporting.audit import print_audit
    from counteract.reporting.write import write_reports

    data = ev.preset_for(dataset or "digits")
    data = ev.with_models(data, [model]) if model else data
    if "models" not in data:
        raise UserError(f"dataset {dataset} has no network of its own: name one with --model")
    overrides: dict[str, Any] = {"budget": budget, "limit": limit, "seeds": seeds, "draws": draws, "pool": pool}
    overrides |= {"precision": precision, "error": error}
    data |= {key: value for key, value in overrides.items() if value is not None}
    data["own_network"] = options.own_network(weights, mean, std)
    spec, where, cache = audit_spec(data, defence), options.choose_device(device), cache or ev.default_cache()
    folder = out if out is not None and out.suffix != ".json" else None
    options.make_folder(folder or (out and out.parent))
    with ProgressBar() as watcher:
        found = run_audit(spec, ev.Means(where, batch_size, watcher, data_dir, model_dir, trust, cache, folder))
    print_audit(found)
    if out is not None:
        path = folder / "audit.json" if folder else out
        write_audit(found, path)
        for written in [path, *(write_reports(found.run, folder) if folder else [])]:
            typer.echo(f"written: {written}")
    raise typer.Exit(0 if found.sound else 1)
