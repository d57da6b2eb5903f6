"""Checks networks as files against PyTorch, torchvision and ONNX Runtime: python3 networks.py IMAGENET18_BINARY WORKDIR

Draws images, trains a tiny run on them, and then compares, for the same network:
* torchvision's resnet18 with the exported safetensors file (`load_state_dict(strict=True)`),
* the exported ONNX file in ONNX Runtime, for several batches, heights and widths,
* the probabilities of `predict --json`.
Then the other way: a state dict that PyTorch saved goes into `eval`, `predict` and `train --init`.
Ends with one line: what was compared, or what went wrong.
"""

# requires: torch==2.13.0 torchvision==0.28.0 onnx==1.23.2 onnxruntime==1.32.0 safetensors==0.8.0 numpy==2.4.6 pillow==12.3.0

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file

CLASSES = ["ant", 'b "quoted"', "ça va"]
PHASES = "[{'ep':0,'sz':48,'bs':8},{'ep':(0,1),'lr':(0.01,0.02)}]"
SIDE = 64
# Logits are of the order of 1; fp32 sums in another order differ by some 1e-6 of it, over 18 layers.
TOLERANCE = 2e-4
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Failure(Exception):
    """Something is not as it should be."""


def run(*command):
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise Failure(f"`{' '.join(map(str, command[1:4]))} ...` ended with {done.returncode} and said: {said}")
    return done.stdout


def draw(folder, seed, count, size=None):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index in range(count):
        width, height = size or [(70, 50), (50, 70), (64, 64)][index % 3]
        grain = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        Image.fromarray(grain).resize((width, height), Image.BILINEAR).save(folder / f"{index}.png")


def normalised(pixels):
    x = (pixels.astype(np.float64) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), dtype=np.float32)


def close(got, expected, what):
    worst = float(np.abs(np.asarray(got) - np.asarray(expected)).max())
    if not worst <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise Failure(f"{what}: expected a difference of at most {TOLERANCE} of the largest value, got {worst}")
    return worst


def predicted(binary, checkpoint, folder, *more):
    threads = ["--threads", 1, "--precision", "fp32", "--size", SIDE, "--top", len(CLASSES), "--json"]
    lines = run(binary, "predict", folder, "--checkpoint", checkpoint, *threads, *more).splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["file"]: {entry["class"]: entry["probability"] for entry in row["top"]} for row in rows}


def probabilities(model, path):
    """PyTorch's, of an image whose short side is SIDE and long side a multiple of 8: `predict` leaves it as it is."""
    with torch.no_grad():
        logits = model(torch.from_numpy(normalised(np.asarray(Image.open(path).convert("RGB"))[None])))
    return torch.softmax(logits.double(), 1)[0].numpy()


def compare_predictions(model, rows, names, what):
    if len(rows) != 6:
        raise Failure(f"{what}: expected 6 predictions, got {len(rows)}")
    return max(
        close([row[name] for name in names], probabilities(model, path), f"{what} of {path}")
        for path, row in rows.items()
    )


def compare_onnx(model, graph, what):
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(7)
    worst = 0.0
    for shape in [(1, 64, 64), (3, 96, 72), (2, 33, 130), (5, 224, 224)]:
        x = normalised(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
        with torch.no_grad():
            expected = model(torch.from_numpy(x)).numpy()
        (logits,) = session.run(["logits"], {"input": x})
        worst = max(worst, close(logits, expected, f"ONNX Runtime's logits of {what} at {shape}"))
    return worst


class Blur(torch.nn.Module):
    """BlurPool's filter, [1 2 1] x [1 2 1] / 16 on each channel, with zero padding 1."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        taps = torch.tensor([1.0, 2.0, 1.0])
        taps = (torch.outer(taps, taps) / 16).expand(x.shape[1], 1, 3, 3)
        return torch.nn.functional.conv2d(x, taps, stride=self.stride, padding=1, groups=x.shape[1])


def as_resnet_d(model):
    """Turns torchvision's network into timm's of the same depth whose name ends in d: same layers, same names."""
    nn = torch.nn
    first, second = ([nn.BatchNorm2d(32), nn.ReLU(inplace=True)] for _ in range(2))
    convs = [nn.Conv2d(i, o, 3, stride, 1, bias=False) for i, o, stride in [(3, 32, 2), (32, 32, 1), (32, 64, 1)]]
    model.conv1 = nn.Sequential(convs[0], *first, convs[1], *second, convs[2])
    for block in list(model.modules()):
        if getattr(block, "downsample", None) is not None:
            conv, norm = block.downsample
            halved = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
            pool = halved if conv.stride[0] > 1 else nn.Identity()
            block.downsample = nn.Sequential(pool, nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=False), norm)


def built(arch):
    """A network with random parameters, by our name: torchvision's or a ResNet-D, which may have BlurPool everywhere."""
    name, _, blurpool = arch.partition("-blurpool-")
    model = getattr(torchvision.models, name.removesuffix("d"))(num_classes=len(CLASSES))
    if name.endswith("d"):
        as_resnet_d(model)
    model.eval()
    if blurpool == "all":
        model.maxpool = torch.nn.Sequential(torch.nn.MaxPool2d(3, stride=1, padding=1), Blur(2))
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d) and module.stride[0] > 1 and module.in_channels >= 16:
                module.register_forward_pre_hook(lambda _, inputs: (Blur(1)(inputs[0]),))
    return model


def exported(binary, work, arch):
    """A network as PyTorch made it, there and back, and as ONNX."""
    torch.manual_seed(5)
    model = built(arch)
    saved, plain, graph = (work / f"{arch}{ending}" for ending in (".pytorch.safetensors", ".safetensors", ".onnx"))
    save_file(model.state_dict(), saved)
    for out in (plain, graph):
        run(binary, "export", "--checkpoint", saved, "--arch", arch, "--out", out)
    again = built(arch)
    again.load_state_dict(load_file(plain), strict=True)
    for name, value in model.state_dict().items():
        if not torch.equal(again.state_dict()[name], value):
            raise Failure(f"export: expected {name} of {arch} as PyTorch saved it, got another")
    worst = compare_onnx(model, graph, arch)
    for path in (saved, plain, graph):
        path.unlink()
    return worst


def check(binary, work):
    work.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(CLASSES):
        draw(work / "data/train" / name, label, 8)
        draw(work / "data/validation" / name, 100 + label, 3)
    for index, size in enumerate([(SIDE, SIDE), (96, SIDE), (SIDE, 136)]):
        draw(work / f"seen/{index}", 200 + index, 2, size)
    base = [binary, "train", work / "data", "--arch", "resnet18", "--precision", "fp32", "--threads", 1, "--workers", 1]
    logdir = work / f"run-{random.getrandbits(48):012x}"
    run(*base, "--phases", PHASES, "--logdir", logdir)
    trained = logdir / "model.safetensors"
    plain, graph = work / "export.safetensors", work / "export.onnx"
    run(binary, "export", "--checkpoint", trained, "--out", plain)
    run(binary, "export", "--checkpoint", trained, "--out", graph)

    model = torchvision.models.resnet18(num_classes=len(CLASSES)).eval()
    model.load_state_dict(load_file(plain), strict=True)
    onnx.checker.check_model(str(graph), full_check=True)
    names = {entry.key: entry.value for entry in onnx.load(str(graph)).metadata_props}
    if json.loads(names["classes"]) != CLASSES:
        raise Failure(f"the ONNX file's class names: expected {CLASSES}, got {names['classes']}")
    others = ("resnet34", "resnet50", "resnet50-blurpool-all", "resnet18d", "resnet50d", "resnet50d-blurpool-all")
    worst = max(compare_onnx(model, graph, "resnet18"), *(exported(binary, work, arch) for arch in others))
    ours = compare_predictions(model, predicted(binary, trained, work / "seen"), CLASSES, "predict")

    torch.manual_seed(3)
    foreign = torchvision.models.resnet18(num_classes=len(CLASSES)).eval()
    saved = work / "pytorch.safetensors"
    save_file(foreign.state_dict(), saved)
    told = ["--arch", "resnet18"]
    numbers = [str(label) for label in range(len(CLASSES))]
    theirs = compare_predictions(foreign, predicted(binary, saved, work / "seen", *told), numbers, "predict of PyTorch's file")
    options = ["--size", 48, "--threads", 1, "--workers", 1, "--json", *told]
    result = json.loads(run(binary, "eval", work / "data", "--checkpoint", saved, *options))
    if result["images"] != 9 or not 0 < result["loss"] < 20:
        raise Failure(f"eval of PyTorch's file: expected a loss of 9 images, got {result}")
    again = Path(f"{logdir}-again")
    still = "[{'ep':0,'sz':48,'bs':24},{'ep':(0,1),'lr':0.0}]"
    run(*base, "--phases", still, "--logdir", again, "--init", saved)
    kept = load_file(again / "model.safetensors")
    for name, value in foreign.named_parameters():
        if not torch.equal(kept[name], value):
            raise Failure(f"train --init: expected {name} as PyTorch saved it, since the rate is 0; got another")
    return f"networks agree: ONNX Runtime {worst:.1e} in logits, predict {ours:.1e} and {theirs:.1e} in probabilities"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: python3 networks.py IMAGENET18_BINARY WORKDIR")
    try:
        print(check(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
    except Exception as error:  # noqa: BLE001: whatever it is, its user gets one line
        sys.exit(f"networks.py: {type(error).__name__}: {' '.join(str(error).split())}")


main()
