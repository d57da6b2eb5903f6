#!/usr/bin/env python3
"""Writes crates/in18-recipe/tests/golden/lr_curves.csv: what the published schedules do, worked out independently.

A port of the semantics of the original trainer (diux-dev/imagenet18, training/train_imagenet_nv.py: the classes
Scheduler and DataManager; training/dataloader.py and torch's DistributedSampler for the number of batches). It shares
nothing with the Rust code: the schedules below are the original's expressions (train.py; Lambda's command lines), not
the numbers that the presets hold.

    python3 scripts/golden/lr_curves.py            # rewrite the file
    python3 scripts/golden/lr_curves.py --check    # exit 1 if it would change
    python3 scripts/golden/lr_curves.py --phases   # print the schedules as Python literals

One line for each of a few batches of every epoch; rates are written as repr, which is exact.
"""

import math
import pathlib
import sys

IMAGES = 1_281_167  # ImageNet's training set; the resized copies hold the same images
OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/in18-recipe/tests/golden/lr_curves.csv"
COLUMNS = "preset,world,epoch,size,bs,steps,val_bs,trndir,valdir,min_scale,rect_val,batch,lr"


def one_machine(sz224):
    lr = 1.0
    bs = [512, 224, 128]
    bs_scale = [x / bs[0] for x in bs]
    return [
        {"ep": 0, "sz": 128, "bs": bs[0], "trndir": "-sz/160"},
        {"ep": (0, 7), "lr": (lr, lr * 2)},
        {"ep": (7, 13), "lr": (lr * 2, lr / 4)},
        {"ep": 13, "sz": 224, "bs": bs[1], "trndir": sz224, "min_scale": 0.087},
        {"ep": (13, 22), "lr": (lr * bs_scale[1], lr / 10 * bs_scale[1])},
        {"ep": (22, 25), "lr": (lr / 10 * bs_scale[1], lr / 100 * bs_scale[1])},
        {"ep": 25, "sz": 288, "bs": bs[2], "min_scale": 0.5, "rect_val": True},
        {"ep": (25, 28), "lr": (lr / 100 * bs_scale[2], lr / 1000 * bs_scale[2])},
    ]


def cloud_4gpu():
    return [
        {"ep": 0, "sz": 128, "bs": 256, "trndir": "-sz/160"},
        {"ep": (0, 8), "lr": (0.5, 1.0)},
        {"ep": (8, 15), "lr": (1.0, 0.125)},
        {"ep": 15, "sz": 224, "bs": 112, "trndir": "-sz/320", "min_scale": 0.087},
        {"ep": (15, 25), "lr": (0.22, 0.022)},
        {"ep": (25, 28), "lr": (0.022, 0.0022)},
        {"ep": 28, "sz": 288, "bs": 64, "min_scale": 0.5, "rect_val": True},
        {"ep": (28, 29), "lr": (0.00125, 0.000125)},
    ]


def four_machines():
    lr = 0.50 * 4
    bs = [256, 224, 128]
    bs_scale = [x / bs[0] for x in bs]
    return [
        {"ep": 0, "sz": 128, "bs": bs[0], "trndir": "-sz/160"},
        {"ep": (0, 6), "lr": (lr, lr * 2)},
        {"ep": 6, "sz": 128, "bs": bs[0] * 2, "keep_dl": True},
        {"ep": 6, "lr": lr * 2},
        {"ep": (11, 13), "lr": (lr * 2, lr)},
        {"ep": 13, "sz": 224, "bs": bs[1], "trndir": "-sz/352", "min_scale": 0.087},
        {"ep": 13, "lr": lr * bs_scale[1]},
        {"ep": (16, 24), "lr": (lr * bs_scale[1], lr / 10 * bs_scale[1])},
        {"ep": (24, 28), "lr": (lr / 10 * bs_scale[1], lr / 100 * bs_scale[1])},
        {"ep": 28, "sz": 288, "bs": bs[2], "min_scale": 0.5, "rect_val": True},
        {"ep": (28, 30), "lr": (lr / 100 * bs_scale[2], lr / 1000 * bs_scale[2])},
    ]


def eight_machines():
    lr = 0.24 * 8
    scale_224 = 224 / 128
    return [
        {"ep": 0, "sz": 128, "bs": 128, "trndir": "-sz/160"},
        {"ep": (0, 6), "lr": (lr, lr * 2)},
        {"ep": 6, "bs": 256, "keep_dl": True, "lr": lr * 2},
        {"ep": (11, 14), "lr": (lr * 2, lr)},
        {"ep": 14, "sz": 224, "bs": 128, "trndir": "-sz/352", "min_scale": 0.087, "lr": lr},
        {"ep": 17, "bs": 224, "keep_dl": True},
        {"ep": (17, 23), "lr": (lr, lr / 10 * scale_224)},
        {"ep": (23, 29), "lr": (lr / 10 * scale_224, lr / 100 * scale_224)},
        {"ep": 29, "sz": 288, "bs": 128, "min_scale": 0.5, "rect_val": True},
        {"ep": (29, 36), "lr": (lr / 100, lr / 1000)},
    ]


def sixteen_machines():
    lr = 0.235 * 8
    return [
        {"ep": 0, "sz": 128, "bs": 64, "trndir": "-sz/160"},
        {"ep": (0, 6), "lr": (lr, lr * 2)},
        {"ep": 6, "bs": 128, "keep_dl": True},
        {"ep": 6, "lr": lr * 2},
        {"ep": 16, "sz": 224, "bs": 64},
        {"ep": 16, "lr": lr},
        {"ep": 19, "bs": 192, "keep_dl": True},
        {"ep": 19, "lr": 2 * lr / (10 / 1.5)},
        {"ep": 31, "lr": 2 * lr / (100 / 1.5)},
        {"ep": 37, "sz": 288, "bs": 128, "min_scale": 0.5, "rect_val": True},
        {"ep": 37, "lr": 2 * lr / 100},
        {"ep": (38, 50), "lr": 2 * lr / 1000},
    ]


# name: (phases, devices)
PRESETS = {
    "seed-8gpu": (one_machine("-sz/320"), 8),
    "cloud-4gpu": (cloud_4gpu(), 4),
    "1-machine": (one_machine("-sz/352"), 8),
    "4-machines": (four_machines(), 32),
    "8-machines": (eight_machines(), 64),
    "16-machines": (sixteen_machines(), 128),
}

# Not published: what the published ones leave open. A line that goes on past its end, rates listed out of order, a
# rate that moves once an epoch, a batch that is kept for validation.
CASES = {
    "unclamped": (
        [
            {"ep": 0, "sz": 64, "bs": 100},
            {"ep": (0, 2), "lr": (0.4, 0.3)},
            {"ep": 4, "bs": 700, "keep_dl": True},
            {"ep": (5, 6), "lr": 0.05},
        ],
        3,
    ),
    "out-of-order": (
        [
            {"ep": (4, 8), "lr": (0.1, 0.2)},
            {"ep": (0, 4), "lr": (1.0, 2.0)},
            {"ep": 6, "lr": 0.5},
            {"ep": 2, "sz": 224, "bs": 300, "valdir": "-v"},
            {"ep": 0, "sz": 128, "bs": 600, "trndir": "-t", "valdir": ""},
        ],
        1,
    ),
    "epoch-step": (
        [
            {"ep": 0, "sz": 160, "bs": 32, "trndir": "-t"},
            {"ep": (0, 3), "lr": (0.3, 0.6), "epoch_step": True},
            {"ep": (3, 5), "lr": (0.6, 0.1)},
        ],
        7,
    ),
}


class Scheduler:
    def __init__(self, phases):
        as_list = lambda value: list(value) if isinstance(value, (list, tuple)) else [value]
        self.phases = [dict(p, ep=as_list(p["ep"]), lr=as_list(p["lr"])) for p in phases]
        self.tot_epochs = max(max(p["ep"]) for p in self.phases)

    def get_lr(self, epoch, batch, batches):
        phase = next(p for p in reversed(self.phases) if epoch >= p["ep"][0])
        if len(phase["lr"]) == 1:
            return phase["lr"][0]
        (lr_start, lr_end), (ep_start, ep_end) = phase["lr"], phase["ep"]
        if "epoch_step" in phase:
            batch = 0
        step_tot = (ep_end - ep_start) * batches
        step_curr = (epoch - ep_start) * batches + batch
        return lr_start + step_curr * ((lr_end - lr_start) / step_tot)


class DataManager:
    def __init__(self, phases):
        self.phases = phases
        self.current = None

    def set_epoch(self, epoch):
        phase = next((p for p in self.phases if p["ep"] == epoch), None)
        if phase is None:
            return
        if phase.get("keep_dl", False):
            self.current["bs"] = phase["bs"]
            return
        sz, bs, trndir = phase["sz"], phase["bs"], phase.get("trndir", "")
        if sz == 128:
            val_bs = max(bs, 512)
        elif sz == 224:
            val_bs = max(bs, 256)
        else:
            val_bs = max(bs, 128)
        self.current = {
            "sz": sz,
            "bs": bs,
            "val_bs": val_bs,
            "trndir": trndir,
            "valdir": phase.get("valdir", trndir),
            "min_scale": phase.get("min_scale", 0.08),
            "rect_val": phase.get("rect_val", False),
        }


def rows(name, phases, world):
    data = DataManager([p for p in phases if "bs" in p])
    scheduler = Scheduler([p for p in phases if "lr" in p])
    for epoch in range(scheduler.tot_epochs):
        data.set_epoch(epoch)
        d = data.current
        steps = math.ceil(math.ceil(IMAGES / world) / d["bs"])
        for batch in sorted({1, steps // 2, steps}):
            lr = scheduler.get_lr(epoch, batch, steps)
            rect = str(d["rect_val"]).lower()
            yield (
                f"{name},{world},{epoch},{d['sz']},{d['bs']},{steps},{d['val_bs']},"
                f"{d['trndir']},{d['valdir']},{d['min_scale']},{rect},{batch},{lr!r}"
            )


def main():
    schedules = {**PRESETS, **CASES}
    if "--phases" in sys.argv:
        for name, (phases, _) in schedules.items():
            print(f"{name}\n{phases}\n")
        return
    lines = [COLUMNS]
    for name, (phases, world) in schedules.items():
        lines.extend(rows(name, phases, world))
    text = "\n".join(lines) + "\n"
    if "--check" in sys.argv:
        sys.exit(0 if OUT.read_text() == text else f"{OUT} differs: run this script without --check")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(text)


if __name__ == "__main__":
    main()
