"""The share of network arithmetic in the time of an evaluation, the paper's Table 1 at a small limit, or of an audit.

    python eval/benchmarks/arithmetic.py [--limit 16] [--dataset FILE --pool FILE --model NAME]
    python eval/benchmarks/arithmetic.py --audit DEFENCE [--preset quick] [--limit 16] [--dataset FILE --model NAME]

Counted as arithmetic are convolutions, matrix products and rectifiers, forward and backward, by the profiler's own
times; the rest is everything else in the run, loading and the small operations of networks and defences included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from subjects import table1, table1_options
from timing import conditions
from torch.profiler import ProfilerActivity, profile

from counteract.auditing import audit_spec, make_audit_spec
from counteract.evaluation import evaluate_spec

NETWORK = (
    "convolution", "conv2d", "convolution_backward", "mkldnn_convolution", "addmm", "mm", "linear", "relu", "relu_",
    "clamp_min", "clamp_min_", "threshold_backward",
)  # fmt: skip
"""Operations that only networks have, by aten's names; the additions of residual networks are not among them."""


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
    torch.set_num_threads(1)  # with several, the operations' times would add up to more than the run's
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        start = time.perf_counter()
        run()
        whole = time.perf_counter() - start
    times = {event.key: event.self_cpu_time_total / 1e6 for event in seen.key_averages()}
    network = sum(value for name, value in times.items() if name.removeprefix("aten::") in NETWORK)
    print(conditions(f"{what}, {options.model} on {options.dataset}, n = {options.limit}"))
    print(f"{network / whole:8.1%}  of {whole:.1f} s is network arithmetic")
    for name in sorted(times, key=times.__getitem__, reverse=True)[:12]:
        print(f"{times[name] / whole:8.1%}  {name}")


if __name__ == "__main__":
    main()
