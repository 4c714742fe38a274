"""Which share of the time of `counteract evaluate` is network arithmetic: the paper's Table 1 at a small limit.

    python eval/benchmarks/arithmetic.py [--limit 16] [--dataset FILE --pool FILE --model NAME]

Counted as arithmetic are convolutions, matrix products and rectifiers, forward and backward, by the profiler's own
times; the rest is everything else in the run, loading and the small operations of networks and defences included.
"""

from __future__ import annotations

import argparse
import time

import torch
from timing import conditions
from torch.profiler import ProfilerActivity, profile

from counteract.evaluation import Means, evaluate, make_spec, read_spec
from counteract.evaluation.experiments import with_models

NETWORK = (
    "convolution", "conv2d", "convolution_backward", "mkldnn_convolution", "addmm", "mm", "linear", "relu", "relu_",
    "clamp_min", "clamp_min_", "threshold_backward",
)  # fmt: skip
"""Operations that only networks have, by aten's names; the additions of residual networks are not among them."""


def main() -> None:
    """Profiles one run, and prints the shares."""
    parser = argparse.ArgumentParser(description="network arithmetic's share of an evaluation")
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--pool", default="train")
    parser.add_argument("--model", default="digits-resnet-mixup")
    options = parser.parse_args()
    data = with_models(read_spec("table1"), [f"mixup={options.model}"])
    wanted = {"dataset": options.dataset, "pool": options.pool, "limit": options.limit, "seeds": 1}
    spec = make_spec(data | wanted, "options")
    torch.set_num_threads(1)  # with several, the operations' times would add up to more than the run's
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        start = time.perf_counter()
        evaluate(spec, Means())
        whole = time.perf_counter() - start
    times = {event.key: event.self_cpu_time_total / 1e6 for event in seen.key_averages()}
    network = sum(value for name, value in times.items() if name.removeprefix("aten::") in NETWORK)
    print(conditions(f"Table 1, {options.model} on {options.dataset}, n = {options.limit}"))
    print(f"{network / whole:8.1%}  of {whole:.1f} s is network arithmetic")
    for name in sorted(times, key=times.__getitem__, reverse=True)[:12]:
        print(f"{times[name] / whole:8.1%}  {name}")


if __name__ == "__main__":
    main()
