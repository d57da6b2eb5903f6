"""Checks that torchrun starts and restarts runs: python3 torchrun.py IMAGENET18_BINARY WORKDIR

Trains on two ranks under `python -m torch.distributed.run --no-python`, kills one of them once there is a checkpoint, and looks
at what torchrun's restart makes of it: the run must go on from the checkpoint and end as one that was left alone, bit by bit.
Ends with one line: what was seen, or what went wrong.
"""

# requires: torch==2.13.0 torchvision==0.28.0 onnx==1.23.2 onnxruntime==1.32.0 safetensors==0.8.0 numpy==2.4.6 pillow==12.3.0
# needs: libtorch

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

PHASES = "[{'ep':0,'sz':48,'bs':4},{'ep':(0,3),'lr':(0.005,0.01)}]"
CLASSES, IMAGES = 4, 30


class Failure(Exception):
    """Something is not as it should be."""


def draw(folder, count):
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(count):
            colour = tuple(random.randrange(256) for _ in range(3))
            Image.new("RGB", (64, 56), colour).save(folder / f"class{label}" / f"{number}.jpg")


def command(program, work, name):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "2"]
    train = ["train", work / "photos", "--logdir", work / name, "--arch", "resnet18", "--precision", "fp32", "--init-bn0"]
    more = ["--devices", "cpu", "--threads", "1", "--resume", "auto", "--checkpoint-minutes", "0.01", "--phases", PHASES]
    return [*torchrun, "--no-python", program, *train, *more]


def events(logdir, kind):
    path = logdir / "metrics.jsonl"
    if not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def ranks(parent):
    """Processes below a process that are no Python."""
    found = []
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        name = Path(f"/proc/{child}/comm").read_text().strip()
        found += [int(child)] if name == "imagenet18" else ranks(child)
    return found


def main(program, work):
    random.seed(0)
    draw(work / "photos" / "train", IMAGES)
    draw(work / "photos" / "validation", 3)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(program, work, "alone"), check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run = subprocess.Popen(command(program, work, "killed"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (events(work / "killed", "checkpoint") and len(events(work / "killed", "step")) > 8):
        if time.monotonic() > deadline or run.poll() is not None:
            run.kill()
            raise Failure(f"no checkpoint in a minute: {run.communicate()[1].decode()[-2000:]}")
        time.sleep(0.01)
    victims = ranks(run.pid)
    if len(victims) != 2:
        raise Failure(f"expected two ranks below torchrun, got {victims}")
    os.kill(victims[1], signal.SIGKILL)
    said = run.communicate(timeout=120)[1].decode()
    if run.returncode != 0:
        raise Failure(f"torchrun ended with {run.returncode}: {said[-2000:]}")
    resumed = events(work / "killed", "resumed")
    if len(resumed) != 1:
        raise Failure(f"expected the run to go on once, got {resumed}: {said[-2000:]}")
    steps = [(event["epoch"], event["step"]) for event in events(work / "killed", "step")]
    expected = [(event["epoch"], event["step"]) for event in events(work / "alone", "step")]
    if steps != expected:
        raise Failure(f"expected the steps {expected}, got {steps}")
    networks = [(work / name / "model.safetensors").read_bytes() for name in ("alone", "killed")]
    if networks[0] != networks[1]:
        raise Failure("the networks of the run that was killed and of the one left alone differ")
    where = resumed[0]
    print(f"torchrun restarted two ranks; they went on at epoch {where['epoch']}, step {where['step']}, to the same network")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
    except Failure as failure:
        sys.exit(str(failure))
