#!/usr/bin/env python3
"""Writes crates/in18-train/tests/golden/views.json: loss and hits of two views of each image, worked out by PyTorch in
float64, by the mean of the views' probabilities and by the mean of their logits (FFCV's `lr_tta`).

    python3 scripts/golden/views.py            # rewrite the file
    python3 scripts/golden/views.py --check    # exit 1 if it would change

The logits are float32 values, written exactly. `far` has logits so far apart that a probability is below float64's
smallest number, so its expected losses are those of log_softmax and logsumexp.
"""

import json
import math
import pathlib
import sys

import torch

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/in18-train/tests/golden/views.json"


def expected(log_probabilities, targets):
    """Loss sum and hits, from (N, K) float64."""
    own = log_probabilities.gather(1, targets[:, None])
    better = (log_probabilities > own).sum(1)
    loss = torch.nn.functional.nll_loss(log_probabilities, targets, reduction="sum")
    return dict(loss_sum=loss.item(), top1=int((better < 1).sum()), top5=int((better < 5).sum()))


def case(name, images, classes, spread, noise, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(images, classes, generator=generator)
    both = spread * draw()
    views = [(both + noise * draw()).to(torch.float32) for _ in range(2)]
    targets = torch.randint(classes, (images,), generator=generator)
    # Every other image's class is made likelier, so that there are hits of all kinds.
    for view in views:
        view[torch.arange(0, images, 2), targets[::2]] += 2 * spread
    one, other = (view.to(torch.float64) for view in views)
    logs = torch.stack([one.log_softmax(1), other.log_softmax(1)])
    probabilities = logs.logsumexp(0) - math.log(2)
    if name != "far":
        plain = ((one.softmax(1) + other.softmax(1)) / 2).log()
        assert torch.allclose(plain, probabilities, rtol=1e-12)
    return dict(
        name=name,
        classes=classes,
        logits=[view.flatten().tolist() for view in views],
        targets=targets.tolist(),
        flip=expected(probabilities, targets),
        flip_logits=expected(((one + other) / 2).log_softmax(1), targets),
    )


CASES = [
    case("few classes", 9, 3, 1.0, 0.5, 1),
    case("ten classes", 16, 10, 2.0, 1.0, 2),
    case("views that differ", 12, 20, 1.0, 4.0, 3),
    case("many classes", 6, 101, 3.0, 1.0, 4),
    case("far", 8, 7, 900.0, 200.0, 5),
]

text = json.dumps(CASES) + "\n"
if "--check" in sys.argv[1:]:
    sys.exit(OUT.read_text() != text)
OUT.write_text(text)
for one in CASES:
    print(one["name"], one["flip"], one["flip_logits"])
