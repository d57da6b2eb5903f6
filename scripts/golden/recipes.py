"""Golden values of recipes: ten steps of training with losses and optimizers that a recipe can name, as PyTorch computes them.

    pip install torch==2.13.0 torchvision==0.28.0 pillow==12.3.0
    python scripts/golden/recipes.py             # writes crates/in18-testkit/golden/recipes.json

All start from one case of networks.py (its network, pixels and labels) and differ in the recipe, which stands in the file as
TOML. Each holds the ten losses, the logits in evaluation mode after them, and how far these lie from the plain recipe's:
proof that a program that ignores the recipe's field fails. Values and yardsticks are those of networks.py.

A recipe that mixes images also holds how each step does it: the share of an image's own label and, for cutmix, the centre of
the rectangle, which a run draws. The formulas are timm's, in augment.py.
"""

import json
import time

import numpy as np
import torch
from augment import cutmix, mixup, single
from networks import OUT, STEPS, Run, images, logits_summary, numpy, relative, scalar, write
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

CASE = "resnet18-10-64x96"
RATES = (0.002, 0.008)  # at the start and at the end of the ten steps
WEIGHTS = [0.5, 1, 2, 1, 1, 0.25, 1, 1.5, 1, 0.75]
MOMENTUM = 0.9
DECAY = 5e-2
# Norms that some of the ten steps' gradients exceed, by SGD and by LARS.
CLIP, LARS_CLIP = 20.0, 15.0
SHARES = [single(share) for share in (0.9, 0.2, 0.65, 0.5, 0.03, 0.98, 0.4, 0.75, 0.15, 0.6)]
BLENDS = [dict(share=share, centre=None) for share in SHARES]
PASTES = [dict(share=share, centre=[(step * 37 + 5) % 96, step * 23 % 64]) for step, share in enumerate(SHARES)]

# Name, sections of the recipe, and the same for `training` below.
RECIPES = [
    ("plain", "", {}),
    ("smoothing", "[loss]\nsmoothing = 0.1\n", dict(smoothing=0.1)),
    ("binary", '[loss]\nkind = "binary"\nsmoothing = 0.08\n', dict(binary=True, smoothing=0.08)),
    ("weights", f"[loss]\nclass_weights = {WEIGHTS}\n", dict(weights=WEIGHTS)),
    (
        "smoothing, weights",
        f"[loss]\nsmoothing = 0.1\nclass_weights = {WEIGHTS}\n",
        dict(smoothing=0.1, weights=WEIGHTS),
    ),
    (
        "binary, weights",
        f'[loss]\nkind = "binary"\nclass_weights = {WEIGHTS}\n',
        dict(binary=True, weights=WEIGHTS),
    ),
    ("nesterov", "[optimizer]\nnesterov = true\n", dict(nesterov=True)),
    ("decoupled", "[optimizer]\ndecoupled = true\n", dict(decoupled=True)),
    (
        "decoupled, nesterov, no decay of norms and biases",
        "[optimizer]\ndecoupled = true\nnesterov = true\nno_bn_wd = true\nno_bias_wd = true\n",
        dict(decoupled=True, nesterov=True, no_bn_wd=True, no_bias_wd=True),
    ),
    ("clip", f"[optimizer]\nclip_norm = {CLIP}\n", dict(clip=CLIP)),
    ("lars", '[optimizer]\nkind = "lars"\ntrust = 0.5\n', dict(lars=0.5)),
    (
        "lars, nesterov, clip",
        f'[optimizer]\nkind = "lars"\ntrust = 0.5\nnesterov = true\nclip_norm = {LARS_CLIP}\n',
        dict(lars=0.5, nesterov=True, clip=LARS_CLIP),
    ),
    ("ema", "[average]\nema_half_life = 4\nevery = 3\n", dict(ema=(4, 3))),
    ("lookahead", "[average]\nlookahead = 4\nlookahead_decay = 0.9\n", dict(lookahead=(4, 0.9))),
    (
        "ema, lookahead",
        "[average]\nema_half_life = 2.5\nlookahead = 3\nlookahead_decay = 0.9\n",
        dict(ema=(2.5, 1), lookahead=(3, 0.9)),
    ),
    ("mixup", "[augment]\nmixup = 0.2\n", dict(mixed=BLENDS)),
    (
        "cutmix, smoothing, weights",
        f"[augment]\ncutmix = 1\n[loss]\nsmoothing = 0.1\nclass_weights = {WEIGHTS}\n",
        dict(mixed=PASTES, smoothing=0.1, weights=WEIGHTS),
    ),
]


def written(sections):
    """The whole recipe. Phases come last; a section `[optimizer]` gets the momentum and the penalty."""
    optimizer = f"momentum = {MOMENTUM}\nweight_decay = {DECAY}\n"
    if "[optimizer]\n" in sections:
        sections = sections.replace("[optimizer]\n", f"[optimizer]\n{optimizer}")
    else:
        sections += f"[optimizer]\n{optimizer}"
    phases = "[[phase]]\nep = 0\nsz = 64\nbs = 8\n[[phase]]\nep = [0, 1]\nlr = [%s, %s]\n" % RATES
    return sections + phases


def rate(step):
    """Of a step, counted from 0, as the original's phases have it."""
    return RATES[0] + (step + 1) * ((RATES[1] - RATES[0]) / STEPS)


def mixed_batch(case, run, step, share, centre):
    """The batch after mixup or cutmix, and how much of each image stays its own."""
    pixels = images(case["salt"], step, case["height"], case["width"])
    if centre is None:
        return run.normalised(mixup(pixels, share)), share
    pixels, share = cutmix(pixels, share, *centre)
    return run.normalised(pixels), share


def loss_of(logits, labels, share=1.0, binary=False, smoothing=0.0, weights=None):
    classes = logits.shape[1]
    weight = None if weights is None else torch.tensor(weights, dtype=logits.dtype)
    targets = one_hot(labels, classes).to(logits.dtype)
    targets = share * targets + (1 - share) * targets.flip(0)
    if not binary:
        # Of class probabilities: the mean over images, not over weights.
        return cross_entropy(logits, targets, weight=weight, label_smoothing=smoothing)
    targets = (1 - smoothing) * targets + smoothing / classes
    return binary_cross_entropy_with_logits(logits, targets, weight=weight, reduction="sum") / len(logits)


def decoupled_step(optimizer):
    """composer's DecoupledSGDW: the share of the penalty that the rate is of its highest value."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.data.mul_(1 - group["lr"] / rate(STEPS - 1) * group["penalty"])


class Lars:
    """MLPerf's LARS (mlcommons/training, image_classification/tensorflow2/lars_optimizer.py, with an epsilon of 0): weights of
    convolutions and of the classifier are adapted and decayed, batch normalisation and biases are neither. The velocity
    contains the rate."""

    def __init__(self, network, trust, nesterov):
        self.parameters, self.trust, self.nesterov = list(network.parameters()), trust, nesterov
        self.velocities = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, rate):
        for w, v in zip(self.parameters, self.velocities, strict=True):
            d, ratio = w.grad, 1.0
            if w.ndim > 1:
                length, slope = w.norm(), w.grad.norm()
                if length > 0 and slope > 0:
                    ratio = self.trust * length / (slope + DECAY * length)
                d = d + DECAY * w
            step = rate * ratio * d
            v.mul_(MOMENTUM).add_(step)
            w.sub_(step + MOMENTUM * v if self.nesterov else v)


def state(network):
    """Parameters and running statistics."""
    return [tensor.data for tensor in network.state_dict().values() if tensor.is_floating_point()]


def move(average, value, kept):
    for own, other in zip(average, value, strict=True):
        own.mul_(kept).add_(other, alpha=1 - kept)


def average_after(step, network, fast, slow, ema, lookahead):
    """The averages after a step, counted from 1: airbench's lookahead, then composer's EMA."""
    if lookahead:
        every, decay = lookahead
        if step % every == 0:
            move(slow, state(network), decay**every * (step / STEPS) ** 3)
        if step % every == 0 or step == STEPS:
            move(state(network), slow, 0.0)
    if ema:
        half_life, every = ema
        if step % every == 0:
            move(fast, state(network), 0.5 ** (every / half_life))


def training(
    case,
    run,
    nesterov=False,
    decoupled=False,
    no_bn_wd=False,
    no_bias_wd=False,
    lars=None,
    clip=0.0,
    ema=None,
    lookahead=None,
    mixed=None,
    **loss_options,
):
    network = run.network(case, "bn0").train()
    averages = [[tensor.clone() for tensor in state(network)] for _ in range(2)]
    norm = {id(p) for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()}
    free = (norm if no_bn_wd else set()) | ({id(network.fc.bias)} if no_bias_wd else set())
    groups = []
    for penalty, members in [
        (DECAY, [p for p in network.parameters() if id(p) not in free]),
        (0.0, [p for p in network.parameters() if id(p) in free]),
    ]:
        if members:
            groups.append(dict(params=members, penalty=penalty, weight_decay=0.0 if decoupled else penalty))
    optimizer = torch.optim.SGD(groups, lr=RATES[0], momentum=MOMENTUM, nesterov=nesterov)
    adaptive = Lars(network, lars, nesterov) if lars else None
    losses, norms = [], []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        x, target = run.batch(case, step)
        share = 1.0
        if mixed:
            x, share = mixed_batch(case, run, step, **mixed[step])
        loss = loss_of(run.forward(network, x), target, share, **loss_options)
        optimizer.zero_grad()
        loss.backward()
        if clip:
            norms.append(torch.nn.utils.clip_grad_norm_(network.parameters(), clip).item())
        if decoupled:
            decoupled_step(optimizer)
        if adaptive:
            adaptive.step(rate(step))
        else:
            optimizer.step()
        average_after(step + 1, network, *averages, ema, lookahead)
        losses.append(loss.item())
    # Some steps are clipped, some are not.
    assert not clip or min(norms) < 0.95 * clip and max(norms) > 1.05 * clip, norms
    if ema:
        move(state(network), averages[0], 0.0)
    network.eval()
    with torch.no_grad():
        logits = run.forward(network, run.batch(case, 0)[0])
    return dict(losses=losses, logits=numpy(logits))


def main():
    case = json.loads((OUT / f"{CASE}.json").read_text())
    recipes, plain = [], None
    for name, sections, options in RECIPES:
        started = time.monotonic()
        truth = training(case, Run(torch.float64), **options)
        fp32 = [
            training(case, Run(**how), **options) for how in (dict(), dict(threads=1), dict(channels_last=True))
        ]
        bf16 = training(case, Run(autocast=True), **options)
        losses = [
            scalar(truth["losses"][step], [run["losses"][step] for run in fp32], bf16["losses"][step])
            for step in range(STEPS)
        ]
        logits = logits_summary("logits", truth["logits"], [run["logits"] for run in fp32], bf16["logits"])
        plain = truth["logits"] if plain is None else plain
        moved = relative(truth["logits"], plain)
        recipe = dict(name=name, recipe=written(sections), moved=float(f"{moved:.3g}"))
        if "mixed" in options:
            recipe["mixed"] = options["mixed"]
        recipes.append(dict(**recipe, losses=losses, logits=logits))
        worst = max(loss["fp32"] for loss in losses)
        print(f"{name}: {time.monotonic() - started:.0f} s, moved {moved:.1e}, fp32 {worst:.1e}", flush=True)
    made_with = f"torch {torch.__version__}, numpy {np.__version__}"
    write(OUT / "recipes.json", dict(case=CASE, made_with=made_with, recipes=recipes))


if __name__ == "__main__":
    main()
