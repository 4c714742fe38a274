"""`DefendedModule`: a network, its defences, and the average over executions, as a plain `nn.Module`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Literal

import torch
import torch.nn.functional as F
from art.defences.postprocessor.postprocessor import Postprocessor
from art.defences.preprocessor.preprocessor import Preprocessor
from torch import Tensor, nn

from counteract import _random
from counteract._answers import NO_LABEL, labels_of
from counteract._arguments import check_count
from counteract._errors import UserError, shown
from counteract._images import check_clip_values, check_images
from counteract._network import ask, check_model, dtype_of, is_training
from counteract._passes import Graphs, draws_of_all, pass_of
from counteract._precision import at_least_float32, without_autocast
from counteract.postprocessing import Postprocessing, postprocess_all
from counteract.preprocessors import RandomPreprocessor
from counteract.preprocessors.adapter import adapt_all

Average = Literal["probabilities", "logits"]

_SLACK, _SLACK_EACH = 1e-3, 1e-5
"""The room in a lead, in all and for each execution if these are many, so that round-off cannot make a difference."""

_ONCE, _REPEATED, _AFTER = 0, 1, 2
"""The streams of draws: of `preprocessing_defences`, of `transforms` and of `postprocessing_defences`."""


class DefendedModule(nn.Module):
    """A defended network: images in, log-probabilities averaged over randomised executions out.

    The defences in `preprocessing_defences` run once per input, then `transforms` are redrawn for each execution, and
    the executions' softmax outputs (or logits) are averaged. What comes back is the logarithm of the mean probability,
    computed from logarithms, so that argmax, cross-entropy and margin losses all hold, however sure the network is;
    with one execution and no defences it is the network up to log-softmax. Gradients flow through all of it, which is
    what attacks that know of the defence differentiate.

    Under a caller's autocast the network computes in its precision, and everything around it in that of the images.
    Several threads may use one module in eval mode; without `keys`, their draws follow the order of the calls.

    Args:
        model: Maps images in `clip_values` to logits of shape (N, classes), normalisation inside.
        preprocessing_defences: Preprocessors of this package, of ART or a stranger's, in NumPy or PyTorch, mixed as you
            like; run in this order, one draw per input.
        transforms: Likewise; run in this order after those, one draw per input and execution.
        executions: The number of times that each input is transformed and classified, 1 or more; without `transforms`
            one is enough.
        average: The outputs that are averaged: `"probabilities"` (Pang et al. 2020) or `"logits"` (the code of Guo et
            al. 2018).
        executions_per_pass: The number of executions of a batch that go through the network together. It bounds the
            memory, with gradients too, and does not change the answer. None: all executions of some images go through
            it together, in passes of a size that suits the processor; graphs beyond 4 GiB are computed again.
        clip_values: The range that inputs must lie in; None accepts every finite value.
        postprocessing_defences: ART's postprocessors or a stranger's, run in this order on the probabilities that come
            out; see `Postprocessing`.

    Raises:
        UserError: (a ValueError) an argument is out of its range, or `model` is defended already.

    Examples:
        >>> from counteract import Counteraction, DefendedModule, RandomCropPad, load_model
        >>> from counteract.datasets import load_dataset
        >>> network, data = load_model("digits-resnet-mixup"), load_dataset("digits").take(8)
        >>> defended = DefendedModule(
        ...     network,
        ...     preprocessing_defences=[Counteraction(network, eps=12 / 255, eps_step=6 / 255)],
        ...     transforms=[RandomCropPad(size=(24, 30))],
        ...     executions=20,
        ... )
        >>> defended(data.images).exp().sum(dim=1).round().tolist() == [1.0] * 8
        True
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        preprocessing_defences: Sequence[Preprocessor] = (),
        transforms: Sequence[Preprocessor] = (),
        executions: int = 1,
        average: Average = "probabilities",
        executions_per_pass: int | None = None,
        clip_values: tuple[float, float] | None = (0.0, 1.0),
        postprocessing_defences: Sequence[Postprocessor | Postprocessing] = (),
    ) -> None:
        super().__init__()
        check_model(model)
        check_undefended(model, "model", "give one DefendedModule the undefended network and all the defences")
        if executions_per_pass is not None:
            executions_per_pass = check_count("executions_per_pass", executions_per_pass)
        if average not in ("probabilities", "logits"):
            raise UserError(f"average must be 'probabilities' or 'logits', found {shown(average)}")
        self.model = model
        self.preprocessing_defences = adapt_all(preprocessing_defences, "preprocessing_defences")
        self.transforms = adapt_all(transforms, "transforms")
        self.postprocessing_defences = postprocess_all(postprocessing_defences)
        self.executions = check_count("executions", executions)
        self.average = average
        self.executions_per_pass = executions_per_pass
        self.clip_values = check_clip_values(clip_values)
        self.training = is_training(model)

    @property
    def parts(self) -> tuple[RandomPreprocessor[Any], ...]:
        """Everything that an input goes through before the network, in its order."""
        return (*self.preprocessing_defences, *self.transforms)

    def with_parts(
        self,
        change: Callable[[RandomPreprocessor[Any]], Any],
        executions: int | None = None,
        model: nn.Module | None = None,
    ) -> DefendedModule:
        """The same with its parts changed one by one, at most so many executions, and the network given, if one is."""
        return DefendedModule(
            model or self.model,
            preprocessing_defences=[change(part) for part in self.preprocessing_defences],
            transforms=[change(part) for part in self.transforms],
            executions=min(self.executions, executions or self.executions),
            average=self.average,
            executions_per_pass=self.executions_per_pass,
            clip_values=self.clip_values,
            postprocessing_defences=self.postprocessing_defences,
        )

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Classifies a batch.

        Args:
            x: Images of shape (N, C, H, W), pixels in `clip_values`.
            keys: One int64 key per image, shape (N,), that fixes all of its draws; None draws afresh, after
                `torch.manual_seed`.

        Returns:
            Log-probabilities, float32 or as precise as the network, shape (N, classes); after `postprocessing_defences`
            the logarithms of what these make of the probabilities, which need not add up to one.

        Raises:
            UserError: (a ValueError) `x` does not hold such images, or `keys` no key for each.
        """
        x = check_images(x, clip_values=self.clip_values, dtype=dtype_of(self.model))
        keys = _keys_of(x, keys)
        if len(x):
            x = self.preprocess(x, keys)
        if not (self.transforms and len(x)):
            logits = at_least_float32(ask(self.model, x))
            return self._hand_out(keep_winner(F.log_softmax(logits, dim=1), logits), keys)
        return self._hand_out(self._average(x, keys), keys)

    def classify(self, x: Tensor, keys: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The labels that `forward` gives the highest probability, without the executions that cannot change them.

        Of averaged probabilities, what remains of an image's executions can bring a class nearer to the leading one by
        no more than their number: once the lead in summed probability is larger, the image is decided and done.

        Args:
            x: As in `forward`.
            keys: As in `forward`.

        Returns:
            The labels, -1 where the answer is not finite, and how many executions each took: both int64, shape (N,).

        Raises:
            UserError: (a ValueError) `x` does not hold such images, or `keys` no key for each.
        """
        x = check_images(x, clip_values=self.clip_values, dtype=dtype_of(self.model))
        keys = _keys_of(x, keys)
        with torch.no_grad():
            if self.postprocessing_defences and len(x):
                return _named_only(self(x, keys)), torch.full((len(x),), self.executions, device=x.device)
            x = self.preprocess(x, keys) if len(x) else x
            if self.average == "probabilities" and self.executions >= 3 and self.transforms and len(x):
                return self._decide(x, keys)
            answers = self._average(x, keys) if self.transforms and len(x) else ask(self.model, x)
            return labels_of(answers), torch.full((len(x),), self.executions, device=x.device)

    def preprocess(self, x: Tensor, keys: Tensor) -> Tensor:
        """Applies the `preprocessing_defences` to images that have passed the boundary check."""
        stream = _random.fold(keys, _ONCE)
        for position, defence in enumerate(self.preprocessing_defences):
            x = defence.sample(x, _random.fold(stream, position))
        return x

    def _hand_out(self, scores: Tensor, keys: Tensor) -> Tensor:
        """The scores that are left of log-probabilities after the `postprocessing_defences`."""
        stream = _random.fold(keys, _AFTER)
        for position, defence in enumerate(self.postprocessing_defences if len(scores) else ()):
            scores = defence(scores, _random.fold(stream, position))
        return scores

    def mean(self, x: Tensor, keys: Tensor) -> Tensor:
        """The mean over all executions, a few of them at a time: of outputs, or of probabilities in logarithms."""
        prepared = [transform.prepare(x) for transform in self.transforms]
        total = self._total(x, keys, prepared, 0, self.executions)
        return total / self.executions if self.average == "logits" else total - math.log(self.executions)

    def _average(self, x: Tensor, keys: Tensor) -> Tensor:
        """The log-probabilities of the mean."""
        mean = self.mean(x, keys)
        return keep_winner(F.log_softmax(mean, dim=1), mean) if self.average == "logits" else mean

    def _decide(self, x: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Labels and numbers of executions, some executions of all undecided images at a time."""
        prepared = [transform.prepare(x) for transform in self.transforms]
        labels, spent = torch.full_like(keys, NO_LABEL), torch.full_like(keys, self.executions)
        open_rows, totals, start = torch.arange(len(x), device=x.device), [], 0
        for end in _looks(self.executions):
            rows = [None if once is None else once[open_rows] for once in prepared]
            totals.append(self._total(x[open_rows], keys[open_rows], rows, start, end))
            total = self._added(torch.stack(totals), 0)
            best = total.topk(2, dim=1)
            first, second = best.values.exp().unbind(1)
            decided = first - second > _decisive_lead(end, self.executions)
            done = open_rows[decided]
            labels[done], spent[done] = best.indices[decided, 0], end
            open_rows, totals, start = open_rows[~decided], [total[~decided]], end
            if not len(open_rows):
                break
        return labels, spent

    def _total(self, x: Tensor, keys: Tensor, prepared: list[Tensor | None], start: int, end: int) -> Tensor:
        """Adds up the executions from `start` to `end`: in each pass those of some images, or some of them."""
        together, per_pass = self._pass_size(x, end - start)
        graphs = self._graphs(x, end - start)
        facts = [repeat(None) if once is None else once.split(together) for once in prepared]
        totals = []
        for images, their_keys, *known in zip(x.split(together), keys.split(together), *facts, strict=False):
            outputs = []
            for first in range(start, end, per_pass):
                numbers = torch.arange(first, min(first + per_pass, end), device=x.device)
                outputs.append(graphs.run(self._pass, len(images) * len(numbers), images, their_keys, numbers, known))
            totals.append(self._added(torch.cat(outputs, 1), 1))
        return torch.cat(totals)

    def _pass_size(self, x: Tensor, executions: int) -> tuple[int, int]:
        """The number of images in a pass, and of their executions; in training mode images depend on each other."""
        if self.executions_per_pass or is_training(self.model):
            return len(x), self.executions_per_pass or draws_of_all(x)
        return pass_of(x, executions)

    def _graphs(self, x: Tensor, executions: int) -> Graphs:
        """The graphs of so many executions; a network in training mode must not be asked again."""
        if self.executions_per_pass or is_training(self.model):
            return Graphs(everything=is_training(self.model) or executions <= (self.executions_per_pass or executions))
        return Graphs.of(x, executions)

    def _pass(self, x: Tensor, keys: Tensor, numbers: Tensor, prepared: list[Tensor | None]) -> Tensor:
        """The outputs of the executions of these numbers: shape (N, executions, classes)."""
        count = len(numbers)
        stream = _random.fold(keys, _REPEATED)
        rows = x.repeat_interleave(count, dim=0)
        with without_autocast(x.device):  # in here, where a recomputation finds the caller's again
            for position, (transform, once) in enumerate(zip(self.transforms, prepared, strict=True)):
                shared = None if once is None else once.repeat_interleave(count, dim=0)
                rows = transform.sample(rows, transform.execution_keys(stream, numbers, position), shared)
            outputs = at_least_float32(ask(self.model, rows))
            if self.average == "probabilities":
                outputs = outputs.log_softmax(dim=1)
            return outputs.view(len(x), count, -1)

    def _added(self, outputs: Tensor, dim: int) -> Tensor:
        """Adds up logits, or probabilities in logarithms: those stay exact where the probabilities underflow."""
        return outputs.sum(dim) if self.average == "logits" else outputs.logsumexp(dim)


def _named_only(scores: Tensor) -> Tensor:
    """The labels of scores that a postprocessor made; of a row of equal ones, which names no class, `NO_LABEL`."""
    return labels_of(scores).where(scores.amax(1) > scores.amin(1), NO_LABEL)


def keep_winner(scores: Tensor, answers: Tensor) -> Tensor:
    """Log-probabilities whose argmax is that of the answers that they were made of.

    Round-off may lose it: logits that differ by less than log-softmax resolves have the same log-probabilities. There
    the winner is put above the others by the least that there is.

    Args:
        scores: Log-probabilities, shape (N, classes).
        answers: The network's own answers, of the same shape and order.
    """
    with torch.no_grad():
        winner = answers.argmax(1, keepdim=True)
        lost = scores.argmax(1, keepdim=True) != winner
        if not lost.any():
            return scores
        top = scores.amax(1, keepdim=True)
        above = top + top.abs() * torch.finfo(top.dtype).eps
        lift = torch.where(lost, above - scores.gather(1, winner), torch.zeros_like(top))
        lifts = torch.zeros_like(scores).scatter_(1, winner, lift)
    return scores + lifts


def _looks(executions: int) -> list[int]:
    """The numbers of executions after which to look for decided images; none can be before half of them."""
    return [*range(executions // 2 + 1, executions, executions // 10 + 1), executions]


def _decisive_lead(seen: int, executions: int) -> float:
    """The lead in summed probability that the executions that are left cannot undo; after the last one any is."""
    return -1.0 if seen == executions else executions - seen + max(_SLACK, executions * _SLACK_EACH)


def check_undefended(network: nn.Module, name: str, instead: str) -> None:
    """Raises UserError where a network is, or holds, a `DefendedModule` that defends it.

    Args:
        network: The network.
        name: Its name in the error.
        instead: The thing to do instead.
    """
    for part in network.modules():
        if isinstance(part, DefendedModule) and (defences := (*part.parts, *part.postprocessing_defences)):
            by = "+".join(type(defence).__name__ for defence in defences)
            raise UserError(f"{name} is defended already, by {by}: {instead}")


def _keys_of(x: Tensor, keys: Tensor | None) -> Tensor:
    """Returns a key for each image: those given, or fresh ones."""
    if keys is None:
        return _random.fresh_keys(len(x), x.device)
    if not isinstance(keys, Tensor) or keys.dtype != torch.int64 or keys.shape != (len(x),):
        found = f"{keys.dtype}, {tuple(keys.shape)}" if isinstance(keys, Tensor) else type(keys).__name__
        raise UserError(f"keys must be int64, one for each of {len(x)} images; found {found}")
    return keys
