"""Bad inputs through the command line's own entry: how many end in one clear line with exit code 2, and the others.

    python eval/bad_inputs/measure.py [--kind WORD] [--seconds 30] [--show]

Each runs in a child of one warm process, with a bound on time and on memory. The exit code is 0 if all end well.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # `own`, which cases name

from case import Case  # noqa: E402
from cases import every_case, prepare  # noqa: E402
from warm import Outcome, Request, Warm  # noqa: E402

LONGEST = 300
"""The number of characters of a line that a person reads."""


def fault(case: Case, outcome: Outcome) -> str | None:
    """Returns the reason why an outcome is not one clear line with exit code 2; None if it is."""
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    if case.late:
        lines = lines[-1:]  # above it stands how far the run has come
    if outcome.code is None:
        return "hangs"
    if "Traceback" in outcome.stderr:
        return "a traceback"
    if outcome.code != 2:
        return f"exit code {outcome.code}"
    if len(lines) != 1:
        return f"{len(lines)} lines"
    if len(lines[0]) > LONGEST:
        return f"{len(lines[0])} characters"
    if not lines[0].startswith("counteract: ") or not lines[0].isprintable():
        return "an odd line"
    return "something on stdout" if outcome.stdout and not case.late else None


def run_all(cases: Iterable[Case], seconds: float) -> Iterator[tuple[Case, Outcome]]:
    """Yields each case with what became of it, each run in a fresh folder."""
    with tempfile.TemporaryDirectory() as place, Warm() as warm:
        template = Path(place) / "template"
        template.mkdir()
        prepare(template)
        for number, case in enumerate(cases):
            folder = Path(place) / str(number)
            shutil.copytree(template, folder)
            case.make(folder)
            request = Request(case.arguments, str(folder), case.environment, seconds, file=case.file)
            yield case, warm.run(request)
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measures, and prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="", help="only kinds and names with this word in them")
    parser.add_argument("--seconds", type=float, default=30.0, help="the time after which a case counts as hanging")
    parser.add_argument("--show", action="store_true", help="print every line, the good ones too")
    given = parser.parse_args()
    cases = [case for case in every_case() if given.kind in f"{case.kind}: {case.name}"]
    total, good, slowest = Counter[str](), Counter[str](), (0.0, "")
    for case, outcome in run_all(cases, given.seconds):
        total[case.kind] += 1
        found = fault(case, outcome)
        good[case.kind] += found is None
        slowest = max(slowest, (outcome.seconds, f"{case.kind}: {case.name}"))
        if found or given.show:
            last = (outcome.stderr.strip().splitlines() or [""])[-1]
            print(f"{case.kind}: {case.name}: {found or 'good'}: {last[:320]}", flush=True)
    for kind, count in total.items():
        print(f"{kind:<12} {good[kind]} of {count}")
    print(f"{'all':<12} {good.total()} of {total.total()} end in one clear line with exit code 2")
    print(f"the slowest takes {slowest[0]:.1f} s: {slowest[1]}")
    sys.exit(good.total() != total.total())


if __name__ == "__main__":
    main()
