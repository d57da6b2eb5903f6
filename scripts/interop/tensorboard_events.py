"""Whether TensorBoard reads what a run writes: every tag, step and value, after an interruption, too.

    python3 scripts/interop/tensorboard_events.py IMAGENET18 WORKDIR

Needs the packages tensorboard, numpy and pillow. Trains a small network on images that it draws, kills the run in its
middle, continues it, and compares TensorBoard's own loader with metrics.jsonl.
"""

# requires: tensorboard==2.21.0 numpy==2.4.6 pillow==12.3.0

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PHASES = "[{'ep':0,'sz':32,'bs':8},{'ep':(0,3),'lr':(0.02,0.05)},{'ep':2,'sz':48,'bs':8,'rect_val':True}]"


def draw(folder):
    random = numpy.random.default_rng(0)
    for split, count in [("train", 40), ("val", 8)]:
        for label in range(2):
            target = folder / split / f"class{label}"
            target.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 128, (50, 60, 3)) + 127 * label
                Image.fromarray(pixels.astype("uint8")).save(target / f"{index}.jpg")


def steps(logdir):
    path = logdir / "verbose.log"
    return path.read_text().count("Epoch: ") if path.exists() else 0


def main():
    program, work = sys.argv[1], Path(sys.argv[2])
    photos, logdir = work / "photos", work / "run"
    draw(photos)
    command = [program, "train", photos, "--logdir", logdir, "--arch", "resnet18", "--threads", "1", "-p", "1"]
    command += ["--phases", PHASES, "--resume", "auto", "--checkpoint-minutes", "0.001"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while steps(logdir) < 13 and run.poll() is None:
        time.sleep(0.01)
    if run.poll() is not None:
        sys.exit(f"the run ended before it could be killed, with status {run.returncode}")
    run.kill()
    run.wait()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    events = [json.loads(line) for line in (logdir / "metrics.jsonl").read_text().splitlines()]
    if not any(event["event"] == "resumed" for event in events):
        sys.exit("the run was not continued from a checkpoint")
    expected = {}

    def point(tag, step, value):
        expected.setdefault(tag, []).append((step, float(numpy.float32(value))))

    seen = 0
    for event in events:
        kind = event["event"]
        if kind == "run_start":
            point("sizes/world", 0, event["world"])
        elif kind == "data_change":
            point("sizes/image", seen, event["size"])
            point("sizes/batch", seen, event["batch"])
        elif kind == "step":
            step = event["images_before"]
            seen = step + event["images_total"]
            rate = event["images"] / event["step_seconds"]
            for tag, value in [
                ("sizes/lr", event["lr"]),
                ("sizes/momentum", event["momentum"]),
                ("sizes/batch_total", event["images_total"]),
                ("losses/xent", event["loss"]),
                ("losses/train_1", event["top1"]),
                ("losses/train_5", event["top5"]),
                ("times/step", event["step_seconds"] * 1e3),
                ("times/data", event["data_seconds"] * 1e3),
                ("times/1gpu_images_per_sec", rate),
                ("times/8gpu_images_per_sec", rate * 8),
            ]:
                point(tag, step, value)
            # Not of a process's first step, which has nothing to compare with.
            if network := event.get("network"):
                point("net/recv_gbit", step, network["received_gbit"])
                point("net/transmit_gbit", step, network["sent_gbit"])
        elif kind == "epoch_end":
            point("losses/test_1", seen, event["top1"])
            point("losses/test_5", seen, event["top5"])
            point("times/eval_sec", seen, event["eval_seconds"])
            point("epoch", seen, event["epoch"])

    loaded = EventAccumulator(str(logdir), size_guidance={"scalars": 0})
    loaded.Reload()
    tags = set(loaded.Tags()["scalars"])
    if tags != set(expected) | {"first"}:
        sys.exit(f"other tags: {sorted(tags ^ (set(expected) | {'first'}))}")
    for tag, points in expected.items():
        got = [(event.step, float(numpy.float32(event.value))) for event in loaded.Scalars(tag)]
        if got != points:
            sys.exit(f"{tag}: expected {points[:4]}… ({len(points)}), got {got[:4]}… ({len(got)})")
    table = subprocess.run([program, "dawn", "tsv", "--events", logdir], check=True, capture_output=True, text=True)
    print(f"{len(tags)} tags, {sum(map(len, expected.values()))} points as in metrics.jsonl; {table.stdout.count(chr(10)) - 1} lines of the table")


if __name__ == "__main__":
    main()
