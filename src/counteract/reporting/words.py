"""The sentences of a report: the conditions of a run, its verdicts, and the notes beside its tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from counteract._statistics import among
from counteract.attacks.base import CLEAN
from counteract.attacks.registry import recorded_attack
from counteract.defences import UNDEFENDED
from counteract.evaluation.inputs import LEAKING
from counteract.evaluation.results import NetworkNote, Run
from counteract.evaluation.scores import Accuracy, Summary
from counteract.evaluation.worst_cases import counts_luck
from counteract.models.loading import card_of, known_models
from counteract.reporting.lines import interval

_MADE_ON = "made on the undefended network"
"""The words for oblivious attacks in the notes below, which a surrogate makes others of."""

FOOTNOTE = (
    "Accuracy in percent. The attacks are oblivious: made on the undefended network by an attacker who does not know "
    "of the defence. Accuracy under an adaptive attacker, who does, was not measured here; it is what a defence is "
    "worth."
)
"""The note beside every table of oblivious accuracies alone."""

ADAPTIVE = (
    "Accuracy in percent. Oblivious attacks were made on the undefended network; adaptive ones know the defence, and "
    "but for `fixed` not the draws that judge them; the strongest is named. The worst case is over all of them, "
    "example by example. What a defence is worth is how far its worst case lies above that of the undefended network; "
    "a stronger attack than these can only lower it."
)
"""The note beside every table that has adaptive accuracies too."""

CASCADE = (
    "The attacks ran in turn, each on the examples that none before it had broken. What was broken before counts as "
    "wrong in its accuracy, and the strongest is the one with the lowest."
)
"""The note beside the accuracies of a cascade."""

CLAIMS = (
    "A claim holds if the paired 95% interval of each of its comparisons lies on the right side, does not hold if one "
    "lies on the wrong side, and is not settled otherwise; of a claim about most cases more than half must do so. Each "
    "interval is 95% for itself: of many, some miss by chance. The paper's own figures have no intervals and are taken "
    "as they are. All of it is about oblivious attacks."
)
"""The note beside the paper's claims."""

_GLOSSARY = (
    "With each accuracy goes its Wilson 95% interval. oblivious worst case: what is left when every example meets the "
    "attack of this run that is worst for it{clean}. adaptive: not measured; the worst case over adaptive attacks too "
    "can only be lower. undefended: the undefended network's worst case. {draws}Costs: forward passes per prediction "
    "(a backward pass counts as one), and measured time in units of one forward pass of the undefended network."
)

_ADAPTIVE_GLOSSARY = (
    "With each accuracy goes its Wilson 95% interval, with each difference its paired one. oblivious worst case: what "
    "is left when every example meets the attack that is worst for it among those that do not know of the "
    "defence{clean}. adaptive: under the strongest single attack that does. undefended: the undefended network's worst "
    "case over all attacks. worst case: that of the network with the defence; gain: how far it lies above the "
    "undefended network's. {draws}Costs: forward passes per prediction (a backward pass counts as one), and measured "
    "time in units of one forward pass of the undefended network."
)

_DRAWS = (
    "Each example is judged by {draws} draws of the defence that no attack but `fixed` has seen: accuracy is the mean "
    "over them, any wrong the share of examples that one of them or more got wrong under any attack. "
)

_CHOSEN = (
    "Of a defence that draws, the attack that is worst for an example is chosen by other draws than the one that "
    "judges it, or by other examples: the least accuracy under a single attack, luck included, may lie a little below. "
)

_GAINS = (
    "Each defence with counteraction against the same without: the difference of accuracies on the same examples, in "
    "points, with its paired 95% interval. {adaptive}"
)

_PAPER = (
    "The paper's networks are ResNet-50s trained for 200 epochs, attacked on all 10,000 test images of CIFAR. Measured "
    "here: {networks}; {dataset}, n = {n}. A difference is one of networks as much as of methods. <=1 counts as 1."
)


def adaptive_attacks(run: Run) -> list[str]:
    """Returns the attacks of a run that know of the defence."""
    return [name for name in run.spec.attacks if recorded_attack(name).adaptive]


def examples(run: Run) -> str:
    """Returns the number of test images, as far as the run can say."""
    return str(run.examples or run.spec.limit or "all")


def describe(run: Run) -> str:
    """Returns one line about networks, dataset, n, seeds and eps."""
    names = run.spec.models.values()
    return f"{next(iter(names)) if len(names) == 1 else f'{len(names)} networks'} on {_data(run)}"


def introduce(run: Run) -> str:
    """Returns the first line of a report: that, with each network by its name and its training."""
    return f"{_networks(run)}; on {_data(run)}"


def title(run: Run) -> str:
    """Returns the heading of the report."""
    return run.spec.title or describe(run)


def conditions(run: Run) -> list[tuple[str, str]]:
    """Returns the conditions that the results depend on, name by name."""
    spec = run.spec
    kinds = "oblivious and adaptive" if adaptive_attacks(run) else "oblivious"
    step = spec.threat_model.metric.spell(spec.step)
    found = {
        "state": run.progress,
        "dataset": f"{spec.dataset}, n = {examples(run)}, {len(run.class_names)} classes",
        "seeds": str(spec.seeds),
        "networks": _networks(run),
        "threat model": "none: the images are as they are" if set(spec.attacks) == {CLEAN} else str(spec.threat_model),
        "attacks": f"{kinds}; PGD's step {step}, untargeted ones away from the {spec.attack_label} label"
        f"{'' if spec.pixels == 'float' else '; adversarial images rounded to ' + spec.pixels}",
        "versions and machine": ", ".join(f"{name} {value}" for name, value in run.environment.items()),
    }
    if spec.surrogate is not None:
        found["surrogate"] = f"{spec.surrogate}: oblivious attacks were made on it, and adaptive ones begin with it"
    if any(recorded_attack(name).preset for name in spec.attacks):
        found["preset"] = ", ".join(f"{name} {value}" for name, value in spec.preset.model_dump().items())
    if spec.draws > 1:
        found["draws"] = f"{spec.draws} judge each example"
    if spec.precision != "float32":
        found["precision"] = _precision(run)
    if any("mixup-inference" in defence for defence in spec.defences.values()):
        leak = ": a leak, the images that are classified are among them" if spec.pool in LEAKING else ""
        found["mixup pool"] = f"{spec.pool} images{leak}"
    return list(found.items())


def verdicts(run: Run) -> list[str]:
    """Returns a line for each network: its best defence in the worst case, and whether that is a gain."""
    found = []
    for model in run.spec.models:
        summaries = [each for each in run.summaries if each.model == model and each.worst is not None]
        defended = [each for each in summaries if each.defence != UNDEFENDED]
        best = max(defended, key=lambda each: each.worst.accuracy if each.worst else 0.0, default=None)
        if best is not None and best.worst is not None:
            cells = [cell for cell in run.measured if (cell.model, cell.defence) == (model, best.defence)]
            found.append(
                _verdict(
                    model, best, best.worst, len(defended), adaptive=bool(adaptive_attacks(run)),
                    unlucky=len(cells) > 1 and any(map(counts_luck, cells)),
                )
            )  # fmt: skip
        elif summaries and summaries[0].worst is not None:
            found.append(f"{model}: worst case {summaries[0].worst.accuracy:.1f}% undefended. No defence was measured.")
    return found


def _verdict(model: str, best: Summary, worst: Accuracy, several: int, *, adaptive: bool, unlucky: bool) -> str:
    """Returns a network's line; the best of several must gain more, for one of them is lucky.

    Args:
        model: The network.
        best: What the attacks on the defence come to.
        worst: Its worst case.
        several: The number of defences that it is the best of.
        adaptive: True where attacks know of the defence.
        unlucky: True where the worst case has bad luck in it, so that a loss may be none.
    """
    of = f" of {several}" if several > 1 else ""
    text = f"{model}: the best worst case{of} is that of {best.defence}, {worst.accuracy:.1f}% ({interval(worst.ci95)})"
    if best.undefended is not None:
        text += f"; undefended {best.undefended.accuracy:.1f}%"
    if best.gain is not None and best.gain_ci95 is not None:
        low, high = best.gain_ci95
        told = "no difference that could be shown"
        if high < 0:
            told = f"a loss{', bad luck included' * unlucky}"
        elif low > 0:
            told = "a gain" if among(several, best.gain_ci95)[0] > 0 else f"which the best{of} may owe to chance"
        text += f": {best.gain:+.1f} points ({low:+.1f} to {high:+.1f}), {told}"
    oblivious = " Against oblivious attacks alone: of an attacker who knows the defence this says nothing."
    return f"{text}.{'' if adaptive else oblivious}"


def attack_helps(run: Run) -> dict[str, str]:
    """Returns what each attack of a run does, and whether it knows of the defence."""
    helps = {}
    for name in run.spec.attacks:
        attack = recorded_attack(name)
        kind = "" if name == CLEAN else "adaptive: " if attack.adaptive else "oblivious: "
        helps[name] = f"{kind}{attack.help.removeprefix(kind)}"
    return helps


def notes(run: Run) -> list[str]:
    """Returns the notes that must stand beside every table of accuracies of this run."""
    from counteract.robustbench.eligibility import NOT_ELIGIBLE
    from counteract.robustbench.zoo import PREFIX

    found = [ADAPTIVE if adaptive_attacks(run) else FOOTNOTE]
    if run.spec.surrogate is not None:
        found = [found[0].replace(_MADE_ON, f"made on the surrogate {run.spec.surrogate}")]
    if any(name.startswith(PREFIX) for name in run.spec.models.values()):
        found.append(NOT_ELIGIBLE)
    if run.spec.cascade:
        found.append(CASCADE + _alone(run))
    if run.spec.precision != "float32":
        found.append(f"Not exact: {_precision(run)}.")
    if not run.complete:
        found.append(f"This run is {run.progress}.")
    return found


def _alone(run: Run) -> str:
    """Returns a sentence about the attacks of a cascade that tried every example."""
    names = [name for name in run.spec.attacks if name in run.spec.alone]
    return f" But {', '.join(names)} tried every example: theirs is the accuracy under each alone." if names else ""


def parameters(run: Run) -> list[str]:
    """Returns the parameters of the defences, a line for all networks and kinds of attack that share them."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for model in run.spec.models:
        kinds: dict[str, dict[str, None]] = {}
        for variant in run.spec.variants():
            for kind, words in run.parameters(model, variant.name):
                kinds.setdefault(kind, {}).update(dict.fromkeys(words.split("; ")))
        for kind, parts in kinds.items():
            groups.setdefault((kind, tuple(parts)), []).append(model)
    return [
        f"Parameters of {', '.join(models)}{'' if kind == 'every attack' else f' under {kind}'}: {'; '.join(parts)}"
        for (kind, parts), models in groups.items()
    ]


def glossary(run: Run) -> str:
    """Returns what the columns of the accuracies mean."""
    clean = ", the clean images included" if CLEAN in run.spec.attacks else ""
    draws = _DRAWS.format(draws=run.spec.draws) if run.spec.draws > 1 else ""
    draws += _CHOSEN * (len(run.spec.attacks) > 1 and any(cell.drawn for cell in run.measured))
    text = _ADAPTIVE_GLOSSARY if adaptive_attacks(run) else _GLOSSARY
    return text.format(clean=clean, draws=draws)


def gains_note(run: Run) -> str:
    """Returns the note beside the gains."""
    adaptive = "" if adaptive_attacks(run) else "Against oblivious attacks; adaptive: not measured."
    return _GAINS.format(adaptive=adaptive).strip()


def paper_note(run: Run) -> str:
    """Returns the note beside the paper's figures."""
    return _PAPER.format(networks=_networks(run), dataset=run.spec.dataset, n=examples(run))


def counted(outcomes: Iterable[str]) -> str:
    """Returns how often each of some words occurs: `holds: 3; does not hold: 1`."""
    outcomes = list(outcomes)
    return "; ".join(f"{outcome}: {outcomes.count(outcome)}" for outcome in dict.fromkeys(outcomes))


def _data(run: Run) -> str:
    bound = str(run.spec.threat_model).removeprefix("Linf, ")
    return f"{run.spec.dataset}, n = {examples(run)}, {run.spec.seeds} seed{'s' * (run.spec.seeds > 1)}, {bound}"


def _networks(run: Run) -> str:
    return "; ".join(
        f"{name if label == name else f'{label} is {name}'}{_training(name, run.networks.get(label))}"
        for label, name in run.spec.models.items()
    )


def _training(name: str, note: NetworkNote | None) -> str:
    """Returns a network's training in brackets; where no run recorded it, that of the shipped network of its name."""
    known = Path(name).stem
    if note is not None and note.training:
        training: str | None = note.training
    elif known in known_models():
        training = card_of(known).training
    else:
        training = None if note is None else note.method
    return f" (training: {training})" if training else ""


def _precision(run: Run) -> str:
    return f"defended networks in {run.spec.precision}"
