#!/usr/bin/env python3
"""Writes crates/in18-recipe/tests/golden/schedules.csv: the values of PyTorch's own schedulers, in float64.

    python scripts/golden/schedules.py            # rewrite the file; needs PyTorch
    python scripts/golden/schedules.py --check    # exit 1 if it would change

A run of 5 epochs of 7 steps, with the scheduler stepped after every optimizer step. One line a step: the case, the step
counted from 0, the rate, and the momentum. The curve that must equal a case is in crates/in18-recipe/tests/schedules.rs.
"""

import pathlib
import sys
import warnings

import torch
from torch.optim import lr_scheduler

STEPS = 35  # 5 epochs of 7
OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/in18-recipe/tests/golden/schedules.csv"


def warm_cosine(optimizer):
    # A warm-up of 2 epochs from a tenth of the rate, then half a cosine to 0.002.
    warmup = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=14)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - 14, eta_min=0.002)
    return lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[14])


CASES = {
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.002),
    "warm-cosine": warm_cosine,
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, total_iters=STEPS, power=2.0),
    "steps": lambda o: lr_scheduler.MultiStepLR(o, milestones=[14, 28], gamma=0.1),
    "linear": lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.25, total_iters=STEPS),
    "cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=2.0, total_steps=STEPS),
    "cycle-linear": lambda o: lr_scheduler.OneCycleLR(
        o, max_lr=2.0, total_steps=STEPS, pct_start=0.4, anneal_strategy="linear", div_factor=10.0, final_div_factor=100.0
    ),
}


def lines():
    yield "case,step,rate,momentum"
    for case, make in CASES.items():
        parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([parameter], lr=2.0, momentum=0.9)
        scheduler = make(optimizer)
        for step in range(STEPS):
            group = optimizer.param_groups[0]
            yield f"{case},{step},{float(group['lr'])!r},{float(group['momentum'])!r}"
            optimizer.step()
            if step + 1 < STEPS:
                scheduler.step()


def main():
    warnings.simplefilter("ignore")
    text = "\n".join(lines()) + "\n"
    if "--check" in sys.argv[1:]:
        sys.exit(text != OUT.read_text())
    OUT.write_text(text)


if __name__ == "__main__":
    main()
