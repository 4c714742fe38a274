"""DefendedModule: its average, its answers, and who may attack it."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchattacks
from networks import Dark, Returning, Shifted, TinyNet
from torch import Tensor, nn

from counteract import (
    Counteraction,
    DefendedModule,
    GaussianNoise,
    MixupInference,
    RandomCropPad,
    RandomCropResize,
    _random,
)
from counteract._network import dtype_of
from counteract.datasets import Dataset
from counteract.defended import keep_winner

KEYS = torch.arange(6) * 1_000_003


def crops(net: nn.Module, **options: Any) -> DefendedModule:
    return DefendedModule(net, transforms=[RandomCropResize()], **({"executions": 7} | options))


def test_without_defences_it_is_the_network_up_to_log_softmax(net: nn.Module, x: Tensor) -> None:
    assert torch.equal(DefendedModule(net)(x), F.log_softmax(net(x), dim=1))
    assert torch.equal(DefendedModule(net, executions=9)(x), F.log_softmax(net(x), dim=1))


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_the_average_by_hand(net: nn.Module, x: Tensor, average: Any) -> None:
    crop, pad = RandomCropResize(), RandomCropPad((28, 31))
    before = Counteraction(net, num_labels=3)
    module = DefendedModule(net, preprocessing_defences=[before], transforms=[crop, pad], executions=5, average=average)
    received = before.sample(x, _random.fold(_random.fold(KEYS, 0), 0))
    outputs = []
    for execution in range(5):
        stream = _random.fold(_random.fold(KEYS, 1), execution)
        cropped = crop.sample(received, _random.fold(stream, 0))
        logits = net(pad.sample(cropped, _random.fold(stream, 1)))
        outputs.append(logits.softmax(1) if average == "probabilities" else logits)
    mean = torch.stack(outputs).mean(0)
    expected = mean.log() if average == "probabilities" else mean.log_softmax(1)
    torch.testing.assert_close(module(x, KEYS), expected)
    torch.testing.assert_close(module(x, KEYS).exp().sum(1), torch.ones(6))
    assert (outputs[0] - outputs[1]).abs().max() > 0.01


def test_passes_do_not_show_in_outputs_or_gradients(net: nn.Module, x: Tensor) -> None:
    results = []
    for executions_per_pass in (None, 1, 2, 7, 100):
        received = x.clone().requires_grad_()
        output = crops(net, executions_per_pass=executions_per_pass)(received, KEYS)
        (gradient,) = torch.autograd.grad(F.nll_loss(output, torch.arange(6)), received)
        results.append((output.detach(), gradient))
    for output, gradient in results[1:]:
        torch.testing.assert_close(output, results[0][0])
        torch.testing.assert_close(gradient, results[0][1])


def test_a_pass_has_so_many_rows(net: nn.Module, x: Tensor) -> None:
    rows: list[int] = []
    net.register_forward_hook(lambda module, inputs, output: rows.append(len(inputs[0])))
    crops(net, executions_per_pass=3)(x)
    assert rows == [18, 18, 6]
    rows.clear()
    crops(net, executions=500)(x)
    assert sum(rows) == 3000
    assert max(rows) <= 512


def test_the_batch_does_not_show(net: nn.Module, x: Tensor) -> None:
    module = crops(net)
    whole = module(x, KEYS)
    parts = torch.cat([module(x[i : i + 1], KEYS[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize("keys", [torch.arange(5), torch.arange(6).float(), torch.tensor(3), [1] * 6])
def test_keys_are_one_for_each_image(keys: Any, net: nn.Module, x: Tensor) -> None:
    for call in (DefendedModule(net), DefendedModule(net).classify):
        with pytest.raises(ValueError, match=r"^keys must be int64, one for each of 6 images; found"):
            call(x, keys)


def test_keys_fix_the_draws_and_without_them_torch_does(net: nn.Module, x: Tensor) -> None:
    module = crops(net)
    assert torch.equal(module(x, KEYS), module(x, KEYS))
    assert not torch.equal(module(x, KEYS), module(x, KEYS + 1))
    torch.manual_seed(1)
    first = module(x)
    assert not torch.equal(first, module(x))
    torch.manual_seed(1)
    assert torch.equal(first, module(x))


def test_what_is_needed_once_is_computed_once(net: nn.Module, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    other = TinyNet().eval()
    rows: list[int] = []
    other.register_forward_hook(lambda module, inputs, output: rows.append(len(inputs[0])))
    module = DefendedModule(net, transforms=[MixupInference(other, *pool)], executions=20, executions_per_pass=3)
    module(x)
    assert rows == [6]


def test_labels_of_counteraction_are_shared_by_executions(net: nn.Module, x: Tensor) -> None:
    """It is a preliminary step: one draw and one perturbation, whatever the number of executions."""
    calls: list[int] = []

    class Counted(Counteraction):
        def apply(self, x: Tensor, parameters: Tensor) -> Tensor:
            calls.append(len(x))
            return super().apply(x, parameters)

    defence = Counted(net, num_labels=3)
    DefendedModule(net, preprocessing_defences=[defence], transforms=[RandomCropPad()], executions=20)(x)
    assert calls == [6]


def test_checks_at_the_boundary(net: nn.Module, x: Tensor) -> None:
    module = crops(net)
    with pytest.raises(ValueError, match="outside clip_values"):
        module(x * 255)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        module(x[0])
    assert module((x > 0.5).to(torch.float64)).dtype == torch.float32
    assert crops(net.double())(x).dtype == torch.float64


def test_an_empty_batch(net: nn.Module, x: Tensor) -> None:
    assert crops(net)(x[:0]).shape == (0, 10)


def test_a_certain_network_gives_finite_log_probabilities(x: Tensor) -> None:
    class Certain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([1e4, 0.0, -1e4]).expand(len(x), 3) + 0 * x.mean()

    assert torch.isfinite(DefendedModule(Certain(), transforms=[RandomCropPad()], executions=2)(x)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"executions": 0}, "executions must be an integer of at least 1"),
        ({"executions_per_pass": 0}, "executions_per_pass must be"),
        ({"average": "votes"}, "average must be 'probabilities' or 'logits', found 'votes'"),
        ({"transforms": [nn.Identity()]}, "transforms must be preprocessors of this package or of ART, found Identity"),
        ({"transforms": None}, "transforms must be preprocessors of this package or of ART, found NoneType"),
        ({"transforms": GaussianNoise}, "found the class GaussianNoise itself"),
        (
            {"preprocessing_defences": "hedge"},
            "preprocessing_defences must be preprocessors of this package or of ART, found str",
        ),
        ({"executions": True}, "executions must be an integer of at least 1, found True"),
        ({"clip_values": 1}, "clip_values"),
    ],
)
def test_wrong_arguments(net: nn.Module, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DefendedModule(net, **arguments)


@pytest.mark.parametrize(
    ("attack", "options"),
    [
        ("PGD", {"steps": 4}),
        ("EOTPGD", {"steps": 3, "eot_iter": 2}),
        ("APGD", {"steps": 5, "loss": "ce", "eot_iter": 1}),
        ("APGD", {"steps": 5, "loss": "dlr", "eot_iter": 2}),
    ],
)
def test_torchattacks_run_on_it(
    digits_net: nn.Module, digits: Dataset, attack: str, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    module = DefendedModule(
        digits_net,
        preprocessing_defences=[Counteraction(digits_net, eps=0.05, eps_step=0.02)],
        transforms=[RandomCropResize()],
        executions=4,
    )
    images, labels = digits.images[:24], digits.labels[:24]
    torch.manual_seed(0)
    adversarial = getattr(torchattacks, attack)(module, eps=0.2, **options)(images, labels)
    assert (adversarial - images).abs().max() <= 0.2 + 1e-6
    keys = torch.arange(24)
    with torch.no_grad():
        clean, attacked = (F.nll_loss(module(batch, keys), labels) for batch in (images, adversarial))
    assert attacked > clean + 0.3


@pytest.mark.parametrize("executions_per_pass", [None, 1, 7])
def test_labels_alone_take_fewer_executions_and_are_the_same(
    digits_net: nn.Module, digits: Dataset, executions_per_pass: int | None
) -> None:
    x, keys = digits.images[:40], torch.arange(40)
    noisy = (x + 0.5 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) - 0.25).clamp(0, 1)
    module = DefendedModule(
        digits_net,
        preprocessing_defences=[Counteraction(digits_net, eps=16 / 255)],
        transforms=[GaussianNoise(0.2, clip_values=(0, 1)), RandomCropResize((16, 30))],
        executions=20,
        executions_per_pass=executions_per_pass,
    )
    full = module(noisy, keys)
    labels, spent = module.classify(noisy, keys)
    assert torch.equal(labels, full.argmax(1))
    assert 11 <= spent.min() < spent.max() == 20
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(module.classify(noisy[order], keys[order])[1], spent[order])


@pytest.mark.parametrize(
    ("votes", "label", "executions"),
    [
        ([3] * 6, 3, 6),  # five are left, which cannot reach six
        ([3] * 5 + [4] * 5 + [3], 3, 11),  # open to the last
        ([3] * 5 + [4] * 6, 4, 11),
        ([3] * 5 + [4] + [3] * 2, 3, 8),
    ],
)
def test_no_image_is_decided_before_its_lead_is_out_of_reach(
    x: Tensor, votes: list[int], label: int, executions: int
) -> None:
    left = iter(votes)

    class Fickle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([100.0 * torch.eye(10)[next(left)] for _ in range(len(x))])

    module = DefendedModule(Fickle(), transforms=[GaussianNoise()], executions=11, executions_per_pass=1)
    labels, spent = module.classify(x[:1])
    assert (labels.tolist(), spent.tolist()) == ([label], [executions])
    assert next(left, None) is None


@pytest.mark.parametrize(
    "options",
    [
        {"average": "logits", "executions": 5},
        {"executions": 1},
        {"transforms": []},
        {"transforms": [], "preprocessing_defences": [GaussianNoise(0.7)]},
    ],
)
def test_labels_where_nothing_can_be_spared(net: nn.Module, x: Tensor, options: dict[str, Any]) -> None:
    module = DefendedModule(net, **({"transforms": [GaussianNoise()]} | options))
    labels, spent = module.classify(x, torch.arange(6))
    assert torch.equal(labels, module(x, torch.arange(6)).argmax(1))
    assert (spent == module.executions).all()
    assert module.classify(x[:0])[0].shape == (0,)


class Fixed(nn.Module):
    """The same answer to every image."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer.expand(len(x), -1) + 0 * x.flatten(1).sum(1, keepdim=True)


@pytest.mark.parametrize("scale", [1e-8, -1e-8, 1e8])
def test_the_networks_own_argmax_survives_however_small_its_logits(
    digits_net: nn.Module, x: Tensor, scale: float
) -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = scale * digits_net(x)
            return logits

    module, expected = DefendedModule(Scaled()), (scale * digits_net(x)).argmax(1)
    points = x.clone().requires_grad_()
    scores = module(points, KEYS)
    assert torch.equal(scores.argmax(1), expected)
    assert torch.equal(module.classify(x, KEYS)[0], expected)
    torch.testing.assert_close(scores, F.log_softmax(Scaled()(x), 1))
    (gradient,) = torch.autograd.grad(scores[:, 0].sum(), points)
    (same,) = torch.autograd.grad(F.log_softmax(Scaled()(points), 1)[:, 0].sum(), points)
    assert torch.equal(gradient, same)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_lost_winner_is_put_above_the_others_in_any_precision(dtype: torch.dtype) -> None:
    answers = torch.tensor([[0.0, 1.0, 3.0, 2.0], [5.0, 0.0, 0.0, 0.0]], dtype=dtype)
    scores = torch.tensor([[-1.4, -1.3, -1.4, -1.3], [-0.1, -5.0, -5.0, -5.0]], dtype=dtype)
    found = keep_winner(scores, answers)
    assert found.argmax(1).tolist() == [2, 0]
    assert torch.equal(found[1], scores[1])
    torch.testing.assert_close(found[0, 2], scores[0].amax())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize(
    "options",
    [{}, {"transforms": [GaussianNoise()], "executions": 5}, {"transforms": [GaussianNoise()], "average": "logits"}],
)
def test_an_answer_that_is_not_finite_has_no_label(x: Tensor, bad: float, options: dict[str, Any]) -> None:
    ruled_out = bad == -torch.inf  # of probability zero, as an answer may say
    answer = torch.zeros(10)
    answer[4], answer[7] = 3.0, bad
    module = DefendedModule(Fixed(answer), **options)
    labels, spent = module.classify(x, KEYS)
    assert labels.tolist() == ([4] * 6 if ruled_out else [-1] * 6)
    assert ruled_out or spent.tolist() == [module.executions] * 6
    answer[7] = 0
    assert module.classify(x, KEYS)[0].tolist() == [4] * 6


def test_one_answer_that_is_not_finite_does_not_hold_up_the_others(x: Tensor) -> None:
    class Some(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            answers = 100 * torch.eye(10)[3].repeat(len(x), 1)
            answers[x.flatten(1).mean(1) > 2] = torch.nan
            return answers

    images = x.clone()
    images[2] += 5
    module = DefendedModule(Some(), transforms=[GaussianNoise()], executions=9, clip_values=None)
    labels, spent = module.classify(images, KEYS)
    assert labels.tolist() == [3, 3, -1, 3, 3, 3]
    assert spent.tolist() == [5, 5, 9, 5, 5, 5]


def test_a_network_may_write_into_what_it_gets(x: Tensor) -> None:
    before = x.clone()
    for options in ({}, {"transforms": [RandomCropPad()], "executions": 3}):
        plain, writing = (
            DefendedModule(Shifted(in_place=in_place).eval(), **options)  # type: ignore[arg-type]
            for in_place in (False, True)
        )
        assert torch.equal(writing(x, KEYS), plain(x, KEYS))
        assert torch.equal(writing.classify(x, KEYS)[0], plain.classify(x, KEYS)[0])
        points = x.clone().requires_grad_()
        torch.autograd.grad(writing(points, KEYS).sum(), points)
        assert torch.equal(points, before)
    assert torch.equal(x, before)


@pytest.mark.parametrize("executions", [1, 2, 10])
def test_an_answer_that_is_no_number_has_no_label(x: Tensor, executions: int) -> None:
    dark = torch.cat([x[:2], torch.full((1, 3, 32, 32), 0.1)])
    for network in (Dark().eval(), Dark().eval().bfloat16()):
        module = DefendedModule(network, transforms=[GaussianNoise(0.0)], executions=executions)
        labels, spent = module.classify(dark)
        assert labels.tolist() == [*network(x[:2].to(network.head.weight.dtype)).argmax(1).tolist(), -1]
        assert spent[2] == executions
        assert module(dark)[2].isnan().all()
        assert module(dark)[:2].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_of_half_precision_is_averaged_in_float32(net: nn.Module, x: Tensor, dtype: torch.dtype) -> None:
    found, exact = crops(TinyNet().eval().to(dtype))(x, KEYS), crops(net)(x, KEYS)
    assert found.dtype == torch.float32
    assert (found.exp() - exact.exp()).abs().max() < 0.05
    points = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(crops(TinyNet().eval().to(dtype))(points, KEYS)[:, 0].sum(), points)
    assert gradient.dtype == torch.float32


@pytest.mark.parametrize("kind", ["tuple", "dict", "squeezed"])
def test_logits_are_found_in_whatever_a_network_returns(net: nn.Module, x: Tensor, kind: str) -> None:
    for count in (6, 1):
        assert torch.equal(DefendedModule(Returning(kind).eval())(x[:count]), DefendedModule(net)(x[:count]))
    with pytest.raises(ValueError, match="model must return a tensor of logits, found a tuple"):
        DefendedModule(Returning("several").eval())(x)


class Scaled(nn.Module):
    """A network that is very sure of itself."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.network, self.scale = TinyNet(), scale

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.scale * self.network(x)
        return logits


@pytest.mark.parametrize("executions_per_pass", [None, 2])
@pytest.mark.parametrize("average", ["probabilities", "logits"])
@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
def test_the_average_and_its_gradient_are_exact_where_probabilities_underflow(
    x: Tensor, scale: float, average: Any, executions_per_pass: int | None
) -> None:
    options: dict[str, Any] = {
        "transforms": [RandomCropPad()],  # which only moves pixels: the same in both precisions
        "executions": 5,
        "average": average,
    }
    found: list[Tensor] = []
    right: list[Tensor] = []
    for net, results in ((Scaled(scale).eval(), found), (Scaled(scale).eval().double(), right)):
        points = x.to(dtype_of(net)).requires_grad_()
        module = DefendedModule(net, executions_per_pass=executions_per_pass, **options)
        logs = module(points, KEYS)
        margin = (logs[:, 2] - logs[:, 7]).sum()
        results += [logs.detach().double(), torch.autograd.grad(margin, points)[0].double()]
        assert torch.equal(module.classify(points, KEYS)[0], logs.argmax(1))
    if scale == 100:
        assert right[0].min() < -500
    torch.testing.assert_close(found[0], right[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], right[1], rtol=1e-3, atol=1e-4 * float(right[1].abs().max()))
    if average == "probabilities":  # once more, from its definition in double precision
        crop, outputs = RandomCropPad(), []
        for execution in range(5):
            stream = _random.fold(_random.fold(KEYS, 1), execution)
            outputs.append(net(crop.sample(x.double(), _random.fold(stream, 0))).log_softmax(1))
        torch.testing.assert_close(right[0], torch.stack(outputs).logsumexp(0).detach() - math.log(5))


def test_a_class_that_is_ruled_out_has_no_gradient_and_spoils_none(x: Tensor) -> None:
    class Ruling(TinyNet):
        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x).clone()
            logits[:, 4] = -torch.inf
            return logits

    points = x.clone().requires_grad_()
    logs = DefendedModule(Ruling().eval(), transforms=[GaussianNoise()], executions=3)(points, KEYS)
    assert logs.isfinite().all()
    assert (logs[:, 4] < -50).all()
    (gradient,) = torch.autograd.grad(logs.sum(), points)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precise_logits_are_averaged_in_single_precision(x: Tensor, dtype: torch.dtype) -> None:
    for options in ({}, {"transforms": [RandomCropPad()], "executions": 3}):
        module = DefendedModule(TinyNet().eval().to(dtype), **options)  # type: ignore[arg-type]
        logs = module(x, KEYS)
        assert logs.dtype == torch.float32
        torch.testing.assert_close(logs.exp().sum(1), torch.ones(6))


@pytest.mark.parametrize("executions_per_pass", [None, 1])
def test_a_callers_autocast_stays_inside_of_the_network(x: Tensor, executions_per_pass: int | None) -> None:
    net, dtypes = TinyNet().eval(), set()
    net.register_forward_hook(lambda module, inputs, output: dtypes.add((inputs[0].dtype, output.dtype)))
    module = DefendedModule(
        net,
        preprocessing_defences=[RandomCropResize()],
        transforms=[RandomCropResize()],
        executions=5,
        executions_per_pass=executions_per_pass,
    )
    received: list[Tensor] = []
    net.register_forward_pre_hook(lambda module, inputs: received.append(inputs[0]))
    results = []
    for enabled in (False, True):
        points = x.clone().requires_grad_()
        dtypes.clear()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logs = module(points, KEYS)
        assert logs.dtype == torch.float32
        (gradient,) = torch.autograd.grad(logs[:, 1].sum(), points)  # outside, where passes are computed again
        assert dtypes == {(torch.float32, torch.bfloat16 if enabled else torch.float32)}
        results.append((logs.detach(), gradient))
    half = len(received) // 2
    assert all(torch.equal(one, other) for one, other in zip(received[:half], received[half:], strict=True))
    torch.testing.assert_close(results[1][0], results[0][0], atol=0.2, rtol=0)
    assert (results[1][1] - results[0][1]).abs().max() < 0.1 * results[0][1].abs().max()


def test_threads_get_the_answers_of_one(net: nn.Module, x: Tensor, pool: tuple[Tensor, Tensor]) -> None:
    module = DefendedModule(
        net,
        preprocessing_defences=[Counteraction(net, num_labels=3)],
        transforms=[RandomCropPad(), MixupInference(net, *pool)],
        executions=6,
        executions_per_pass=2,
    )

    def answer(_: int) -> tuple[Tensor, Tensor]:
        points = x.clone().requires_grad_()
        logs = module(points, KEYS)
        return logs.detach(), torch.autograd.grad(logs[:, 1].sum(), points)[0]

    expected = answer(0)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(answer, range(24)))
    for logs, gradient in found:
        assert torch.equal(logs, expected[0])
        torch.testing.assert_close(gradient, expected[1])


def test_numpys_numbers_and_ranges_are_taken(net: nn.Module, x: Tensor) -> None:
    module = crops(
        net, executions=np.int64(4), executions_per_pass=np.uint8(2), clip_values=(np.zeros(1), np.ones((3, 1, 1)))
    )
    assert torch.equal(module(x, KEYS), crops(net, executions=4, executions_per_pass=2)(x, KEYS))
    assert [type(value) for value in (module.executions, module.executions_per_pass)] == [int, int]
    assert module.clip_values == (0.0, 1.0)


def test_what_is_defended_already_is_said(net: nn.Module) -> None:
    twice = DefendedModule(net, preprocessing_defences=[Counteraction(net), GaussianNoise()])
    for defended, by in ((crops(net), "RandomCropResize"), (twice, r"Counteraction\+GaussianNoise")):
        for network in (defended, nn.Sequential(defended)):
            with pytest.raises(ValueError, match=f"model is defended already, by {by}: give one DefendedModule"):
                DefendedModule(network)
    assert DefendedModule(DefendedModule(net)).executions == 1  # which defends nothing
