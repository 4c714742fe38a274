"""The share of network arithmetic in the time of an evaluation, the paper's Table 1 at a small limit, or of an audit.

    python eval/benchmarks/arithmetic.py [--limit 16] [--dataset FILE --pool FILE --model NAME]
    python eval/benchmarks/arithmetic.py --audit DEFENCE [--preset quick] [--limit 16] [--dataset FILE --model NAME]

Counted as arithmetic are convolutions, matrix products and rectifiers, forward and backward; the rest is everything
else in the run: loading, the small operations of networks and defences, and the timing of operations itself.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from subjects import table1, table1_options
from timing import conditions
from torch.utils._python_dispatch import TorchDispatchMode

from counteract.auditing import audit_spec, make_audit_spec
from counteract.evaluation import evaluate_spec

NETWORK = (
    "convolution", "convolution_backward", "addmm", "mm", "relu", "relu_", "clamp_min", "clamp_min_",
    "threshold_backward",
)  # fmt: skip
"""Operations that only networks have, by aten's names; the additions of residual networks are not among them."""


class Times(TorchDispatchMode):
    """The time of each operation of a CPU, by its name; the profiler would keep every call of a long run in memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Times one operation."""
        start = time.perf_counter()
        found = func(*args, **(kwargs or {}))
        self.seconds[func.overloadpacket.__name__] += time.perf_counter() - start
        return found


def main() -> None:
    """Profiles one run, and prints the shares."""
    parser = table1_options("network arithmetic's share of an evaluation or an audit")
    parser.add_argument("--audit", metavar="DEFENCE", help="audit this in place of Table 1")
    parser.add_argument("--preset", default="quick", help="of an audit")
    options = parser.parse_args()
    run: Callable[[], object]
    if options.audit is None:
        what, run = "Table 1", partial(evaluate_spec, table1(options))
    else:
        named = {"models": {"network": options.model}, "dataset": options.dataset}
        effort = {"limit": options.limit, "preset": options.preset}
        what, run = f"audit of {options.audit}", partial(audit_spec, make_audit_spec(named | effort, options.audit))
    torch.set_num_threads(1)
    with Times() as seen:
        start = time.perf_counter()
        run()
        whole = time.perf_counter() - start
    times = seen.seconds
    network = sum(times[name] for name in NETWORK)
    print(conditions(f"{what}, {options.model} on {options.dataset}, n = {options.limit}"))
    print(f"{network / whole:8.1%}  of {whole:.1f} s is network arithmetic")
    for name in sorted(times, key=times.__getitem__, reverse=True)[:12]:
        print(f"{times[name] / whole:8.1%}  {name}")


if __name__ == "__main__":
    main()
