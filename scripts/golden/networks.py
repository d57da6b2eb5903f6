"""Golden files of whole networks: what PyTorch computes, summarised small enough to commit.

    pip install torch==2.13.0 torchvision==0.28.0 timm==1.0.31
    python scripts/golden/networks.py            # writes crates/in18-testkit/golden/*.json
    python scripts/golden/networks.py resnet18   # only the cases whose name contains the word

Each case is a network (ResNet-18 or -50, 10 or 1000 classes, square or rectangular input, batch 8; some with BlurPool, some
timm's ResNet-D) in which nothing is stored that a formula can give: parameters, pixels and labels come from a counter-based generator that
crates/in18-testkit/src/generator.rs repeats bit by bit. A file holds

  plain     one forward and backward pass in training mode: loss, logits, every parameter's gradient, and every
            BatchNorm's running statistics after it. Here the residual branches are open (no bn0), so that every
            parameter has a gradient.
  training  ten steps of SGD with bn0 (the last BatchNorm of every block starts at gamma 0) and without weight decay on
            BatchNorm, a fresh batch a step: the ten losses, and after them the logits in evaluation mode on batch 0. Also
            how far three mistakes in the optimizer would move these logits, as proof that the case can fail.
  evaluation  the logits of the plain part's network in evaluation mode, with running means of 0 and variances of 1, on four
            batches at once of images of twice the size: as large as evaluations are in use.

Reference values are computed in float64, so that they carry no rounding of their own. Beside each stands how far PyTorch
itself departs from it in float32 (the worst of three runs: two threads, one thread, channels-last) and in bfloat16 autocast.
The first grounds the gate on fp32 providers, the second is what bf16 explains.

Four choices make gradients comparable to 1e-4 at all. A ReLU or max pool whose argument lies within rounding of its kink may
go either way, and one such flip changes upstream gradients by about 1e-3: no two correct implementations agree then. So

  1. BatchNorm betas are shifted by +2.5 and -2.5 in turn, which keeps most (not all) arguments away from zero. Where two of
     them add up, one is shifted less, or channels are always on, the next BatchNorm cancels their beta, and its gradient is
     all rounding. With bn0, those that end a block are not shifted, or half the channels would be dead.
  2. The batch is drawn again (`salt`) until no argument of the plain pass is within MARGIN of a kink.
  3. Networks with BlurPool have small errors in bfloat16, so that one ReLU decides them: PyTorch's own differ up to 1.8-fold
     between memory formats and threads. Their batch, and ResNet-D's, is also drawn again while that ratio is above BF16_SPREAD.
  4. The batch is also drawn again while PyTorch's own float32 gradients are farther than FP32_MOST from those in float64.

With the usual betas near 0, PyTorch's float32 gradients of a ResNet-50 are 1e-2 away from those in float64, and its ten losses
differ by 4e-4 between memory formats.
"""

import json
import math
import pathlib
import sys
import time

import numpy as np
import timm
import torch
import torchvision
from torch.nn.functional import conv2d, cross_entropy

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates" / "in18-testkit" / "golden"
BATCH = 8
STEPS = 10
EVALUATION_BATCHES = 4
EVALUATION_SCALE = 2
MOMENTUM = 0.9
MARGIN = 2e-6  # of a tensor's root mean square
BF16_SPREAD = 1.11
FP32_MOST = 5e-5  # half of the gate on float32
SKETCHES = 8
SAMPLES = 6
LOGIT_COLUMNS = 16
SPOT_CHECKS = ["conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.bn2.weight", "layer2.0.downsample.1.bias"]
SPOT_CHECKS += ["layer4.1.bn2.bias", "fc.weight", "fc.bias"]
SPOT_CHECKS += ["conv1.0.weight", "conv1.1.weight", "conv1.4.bias", "layer2.0.downsample.2.bias"]  # of ResNet-D
MEAN = np.array([0.485, 0.456, 0.406]) * 255
DEVIATION = np.array([0.229, 0.224, 0.225]) * 255

# Weight decay is the recipe's 1e-4 in one half of the cases. In the other it is 5e-2, so that a mistake in who takes weight
# decay shows within ten steps (at 1e-4 it moves the losses by less than the gate).
CASES = [
    dict(arch="resnet18", classes=10, height=64, width=64, learning_rate=0.005, weight_decay=1e-4),
    dict(arch="resnet18", classes=10, height=64, width=96, learning_rate=0.005, weight_decay=5e-2),
    dict(arch="resnet18", classes=1000, height=64, width=64, learning_rate=0.005, weight_decay=5e-2),
    dict(arch="resnet18", classes=1000, height=96, width=64, learning_rate=0.005, weight_decay=1e-4),
    dict(arch="resnet50", classes=10, height=64, width=64, learning_rate=0.002, weight_decay=1e-4),
    dict(arch="resnet50", classes=10, height=96, width=64, learning_rate=0.002, weight_decay=5e-2),
    dict(arch="resnet50", classes=1000, height=64, width=64, learning_rate=0.002, weight_decay=5e-2),
    dict(arch="resnet50", classes=1000, height=64, width=96, learning_rate=0.002, weight_decay=1e-4),
    dict(arch="resnet18-blurpool-convolutions", classes=10, height=64, width=64, learning_rate=0.005, weight_decay=5e-2),
    dict(arch="resnet18-blurpool-all", classes=10, height=64, width=64, learning_rate=0.005, weight_decay=1e-4),
    # The last stage pools an odd number of rows and columns.
    dict(arch="resnet18d", classes=10, height=48, width=48, learning_rate=0.005, weight_decay=5e-2),
]


# --- the generator; the same in crates/in18-testkit/src/generator.rs ---


def stream(name):
    """FNV-1a, 64 bits, of the name's bytes."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & (2**64 - 1)
    return value


def bits(name, count):
    """SplitMix64's output number 0, 1, ..., count - 1 from the state stream(name)."""
    with np.errstate(over="ignore"):
        z = np.uint64(stream(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(name, count):
    """float32 in [-1, 1), exact: the top 24 bits, centred, over 2^23."""
    return ((bits(name, count) >> np.uint64(40)).astype(np.int64) - 2**23).astype(np.float32) / np.float32(2**23)


def is_last_of_block(arch, name):
    return (".bn3." if arch.startswith("resnet50") else ".bn2.") in name


def beta_shift(arch, name, start):
    if start == "bn0":
        return 0 if is_last_of_block(arch, name) else 2.5
    return 1 if "downsample" in name else 2.5  # two BatchNorms are added there


def initial_parameter(arch, name, shape, start):
    """float32, torchvision's shape. `start` is 'open' (the plain case) or 'bn0' (training)."""
    count = math.prod(shape)
    u = uniform(name, count)
    if len(shape) == 4:  # Kaiming, fan-out: standard deviation sqrt(2 / (O * kh * kw))
        u *= np.float32(math.sqrt(6 / (shape[0] * shape[2] * shape[3])))
    elif len(shape) == 2:
        u *= np.float32(0.02)
    elif name == "fc.bias":
        u *= np.float32(0.1)
    elif name.endswith("weight"):
        if start == "bn0" and is_last_of_block(arch, name):
            u[:] = 0
        else:
            u = np.float32(1) + np.float32(0.2) * u
    else:
        u *= np.float32(0.1)
        shift = np.float32(beta_shift(arch, name, start))
        u[0::2] += shift
        u[1::2] -= shift
    return u.reshape(shape)


def images(salt, step, height, width):
    """u8, (N, H, W, 3): a coarse grid of random levels, bilinear between its knots, plus noise; never saturated."""
    rows, columns = height // 16 + 1, width // 16 + 1
    grid = (bits(f"images/{salt}/{step}/grid", BATCH * rows * columns * 3) >> np.uint64(57)).astype(np.int64)
    grid = grid.reshape(BATCH, rows, columns, 3)
    y, x = np.arange(height), np.arange(width)
    fy, fx = (y % 16)[None, :, None, None], (x % 16)[None, None, :, None]
    top, bottom = grid[:, y // 16], grid[:, y // 16 + 1]
    left, right = x // 16, x // 16 + 1
    smooth = (
        top[:, :, left] * (16 - fy) * (16 - fx)
        + top[:, :, right] * (16 - fy) * fx
        + bottom[:, :, left] * fy * (16 - fx)
        + bottom[:, :, right] * fy * fx
    ) // 256
    noise = (bits(f"images/{salt}/{step}/noise", BATCH * height * width * 3) >> np.uint64(57)).astype(np.int64)
    return (smooth + noise.reshape(smooth.shape)).astype(np.uint8)


def labels(salt, step, classes):
    return ((bits(f"labels/{salt}/{step}", BATCH) >> np.uint64(33)) % np.uint64(classes)).astype(np.int64)


# --- PyTorch ---


class Blur(torch.nn.Module):
    """[1 2 1] x [1 2 1] / 16 on each channel, zero padding 1."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride
        taps = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("taps", torch.outer(taps, taps)[None, None] / 16)

    def forward(self, x):
        channels = x.shape[1]
        return conv2d(x, self.taps.expand(channels, 1, 3, 3), stride=self.stride, padding=1, groups=channels)


class BlurredConv(torch.nn.Conv2d):
    """A strided convolution of the blurred input. Its weight keeps torchvision's name."""

    def forward(self, x):
        taps = Blur(1).taps.to(x.dtype).expand(x.shape[1], 1, 3, 3)
        return super().forward(conv2d(x, taps, padding=1, groups=x.shape[1]))


def apply_blurpool(network, what):
    """Puts BlurPool into a network (Zhang 2019), in place: before each strided convolution of 16 channels or more, and with
    'all' in max pooling, too. The same as MosaicML composer's apply_blurpool with blur_first."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and max(module.stride) > 1 and module.in_channels >= 16:
            module.__class__ = BlurredConv
    if what == "all":
        network.maxpool = torch.nn.Sequential(torch.nn.MaxPool2d(3, stride=1, padding=1), Blur(2))
    return network


def is_resnet_d(arch):
    return arch.partition("-")[0].endswith("d")


def published_network(arch, classes):
    """A network of torchvision's or a ResNet-D of timm's, with BlurPool where the name says so: resnet18-blurpool-all."""
    name, _, blurpool = arch.partition("-blurpool-")
    if is_resnet_d(arch):
        network = timm.create_model(name, num_classes=classes)
    else:
        network = getattr(torchvision.models, name)(num_classes=classes)
    return apply_blurpool(network, blurpool) if blurpool else network


class Run:
    """How to compute: precision, memory format, threads."""

    def __init__(self, dtype=torch.float32, channels_last=False, autocast=False, threads=2):
        self.dtype, self.channels_last, self.autocast, self.threads = dtype, channels_last, autocast, threads

    def network(self, case, start):
        torch.set_num_threads(self.threads)
        network = published_network(case["arch"], case["classes"])
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(torch.from_numpy(initial_parameter(case["arch"], name, tuple(parameter.shape), start)))
        network = network.to(self.dtype)
        return network.to(memory_format=torch.channels_last) if self.channels_last else network

    def batch(self, case, step):
        pixels = images(case["salt"], step, case["height"], case["width"])
        return self.normalised(pixels), torch.from_numpy(labels(case["salt"], step, case["classes"]))

    def normalised(self, pixels):
        x = torch.from_numpy(((pixels - MEAN) / DEVIATION).transpose(0, 3, 1, 2).copy()).to(self.dtype)
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last else x

    def forward(self, network, x):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            return network(x).to(self.dtype)


FP32_RUNS = [Run(), Run(threads=1), Run(channels_last=True)]


def plain(case, run):
    network = run.network(case, "open").train()
    x, target = run.batch(case, 0)
    logits = run.forward(network, x)
    loss = cross_entropy(logits, target)
    loss.backward()
    return dict(
        loss=loss.item(),
        logits=numpy(logits),
        gradients={name: numpy(p.grad) for name, p in network.named_parameters()},
        statistics={name: numpy(b) for name, b in network.named_buffers() if "running" in name},
    )


def training(case, run, decay_norm=False, momentum=MOMENTUM):
    network = run.network(case, "bn0").train()
    norm = {id(p) for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()}
    decay = case["weight_decay"]
    optimizer = torch.optim.SGD(
        [
            {"params": [p for p in network.parameters() if id(p) not in norm], "weight_decay": decay},
            {"params": [p for p in network.parameters() if id(p) in norm], "weight_decay": decay * decay_norm},
        ],
        lr=case["learning_rate"],
        momentum=momentum,
    )
    losses = []
    for step in range(STEPS):
        x, target = run.batch(case, step)
        loss = cross_entropy(run.forward(network, x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    network.eval()
    with torch.no_grad():
        logits = run.forward(network, run.batch(case, 0)[0])
    return dict(losses=losses, logits=numpy(logits))


def evaluation(case, run):
    network = run.network(case, "open").eval()
    large = dict(case, height=EVALUATION_SCALE * case["height"], width=EVALUATION_SCALE * case["width"])
    batches = [run.batch(large, step)[0] for step in range(EVALUATION_BATCHES)]
    with torch.no_grad():
        return numpy(run.forward(network, torch.cat(batches)))


def margin(case):
    """The least distance of any ReLU's or max pool's argument from its kink, relative to the tensor's root mean square."""
    run = Run(torch.float64)
    network = run.network(case, "open").train()
    least = [math.inf]

    def relu(_, arguments):
        x = arguments[0]
        least[0] = min(least[0], (x.abs().min() / x.square().mean().sqrt()).item())

    def max_pool(module, arguments):
        x = arguments[0]
        windows = torch.nn.functional.unfold(x.flatten(0, 1).unsqueeze(1), 3, padding=1, stride=module.stride)
        best, second = windows.topk(2, dim=1).values.unbind(1)
        gap = (best - second)[best > 0]  # a window of zeros passes no gradient through its ReLU
        least[0] = min(least[0], (gap.min() / x.square().mean().sqrt()).item())

    for module in network.modules():
        if isinstance(module, torch.nn.ReLU):
            # A block's one ReLU is in place and serves several times; the hook sees each argument before it is overwritten.
            module.register_forward_pre_hook(relu)
        elif isinstance(module, torch.nn.MaxPool2d):
            module.register_forward_pre_hook(max_pool)
    with torch.no_grad():
        network(run.batch(case, 0)[0])
    return least[0]


# --- summaries; compared in crates/in18-testkit/src/golden.rs ---


def bf16_spread(case):
    """The largest of PyTorch's own bfloat16 errors over the smallest: root mean squares over all gradients, by memory format
    and threads."""
    truth = plain(case, Run(torch.float64))["gradients"]
    errors = []
    for how in [dict(), dict(channels_last=True), dict(threads=1), dict(threads=1, channels_last=True)]:
        gradients = plain(case, Run(autocast=True, **how))["gradients"]
        errors.append(np.sqrt(np.mean([relative(gradients[name], expected) ** 2 for name, expected in truth.items()])))
    return float(max(errors) / min(errors))


def fp32_worst(case):
    """The largest of PyTorch's own float32 errors in a gradient."""
    truth = plain(case, Run(torch.float64))["gradients"]
    runs = [plain(case, run)["gradients"] for run in FP32_RUNS]
    return max(relative(run[name], expected) for run in runs for name, expected in truth.items())


def numpy(tensor):
    return tensor.detach().to(torch.float64).contiguous().numpy().copy()


def relative(actual, expected):
    """Relative distance in the Euclidean norm."""
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def summary(name, expected, fp32, bf16):
    """A tensor of any size in 15 numbers: norm, eight projections on random signs, six elements.

    The mean square of a difference's projections on random signs is an unbiased estimate of its squared norm, so the
    sketch of the reference tells how far another tensor is from it. Signs: bits 56..63 of the generator's stream
    'sketch/NAME', a bit per projection.
    """
    flat = expected.ravel()
    planes = bits(f"sketch/{name}", flat.size) >> np.uint64(56)
    sketch = [float(flat.sum() - 2 * flat[(planes >> np.uint64(k)) & np.uint64(1) == 1].sum()) for k in range(SKETCHES)]
    places = bits(f"samples/{name}", SAMPLES) % np.uint64(flat.size)
    return dict(
        name=name,
        shape=list(expected.shape),
        norm=digits(np.linalg.norm(flat)),
        sketch=[digits(v) for v in sketch],
        samples=[digits(flat[int(i)]) for i in places],
        fp32=deviation(max(relative(other, expected) for other in fp32)),
        bf16=deviation(relative(bf16, expected)),
    )


def logits_summary(name, expected, fp32, bf16):
    columns = min(expected.shape[1], LOGIT_COLUMNS)
    return dict(
        summary=summary(name, expected, fp32, bf16),
        row_norms=[digits(v) for v in np.linalg.norm(expected, axis=1)],
        columns=columns,
        values=[digits(v) for v in expected[:, :columns].ravel()],
    )


def digits(value):
    return float(f"{value:.9g}")


def deviation(value):
    return float(f"{value:.2e}")


def summaries(key, truth, fp32, bf16):
    return [summary(name, truth[key][name], [r[key][name] for r in fp32], bf16[key][name]) for name in truth[key]]


def generator_values(case):
    """Spot checks by which the Rust side proves that it generates the same network and batches."""
    pixels = images(case["salt"], 0, case["height"], case["width"])
    values = {}
    for start in ("open", "bn0"):
        network = Run().network(case, start)
        parameters = dict(network.named_parameters())
        for name in SPOT_CHECKS:
            if name not in parameters:
                continue
            flat = numpy(parameters[name]).ravel()
            values[f"{start}/{name}"] = [float(v) for v in (*flat[:3], flat[-1])]  # exact: float32 in float64
    return dict(
        parameters=values,
        first_pixels=pixels.ravel()[:12].tolist(),
        pixel_sum=int(pixels.sum(dtype=np.int64)),
        pixel_weighted_sum=int((pixels.ravel().astype(np.int64) * (np.arange(pixels.size) % 1009)).sum()),
        labels=labels(case["salt"], 0, case["classes"]).tolist(),
        last_step_labels=labels(case["salt"], STEPS - 1, case["classes"]).tolist(),
    )


def golden(case, salt=0):
    """The file of a case, with the first fitting batch from this number on."""
    case = dict(case, salt=salt)
    has_options = case["arch"] not in ("resnet18", "resnet50")
    while (
        (least := margin(case)) < MARGIN
        or fp32_worst(case) > FP32_MOST
        or has_options and bf16_spread(case) > BF16_SPREAD
    ):
        case["salt"] += 1

    truth = plain(case, Run(torch.float64))
    fp32, bf16 = [plain(case, r) for r in FP32_RUNS], plain(case, Run(autocast=True))
    plain_part = dict(
        loss=scalar(truth["loss"], [r["loss"] for r in fp32], bf16["loss"]),
        logits=logits_summary("logits", truth["logits"], [r["logits"] for r in fp32], bf16["logits"]),
        gradients=summaries("gradients", truth, fp32, bf16),
        statistics=summaries("statistics", truth, fp32, bf16),
    )

    truth = training(case, Run(torch.float64))
    fp32, bf16 = [training(case, r) for r in FP32_RUNS], training(case, Run(autocast=True))
    mistakes = {
        "no weight decay": training(dict(case, weight_decay=0), Run()),
        "weight decay on BatchNorm": training(case, Run(), decay_norm=True),
        "no momentum": training(case, Run(), momentum=0),
    }
    training_part = dict(
        losses=[scalar(truth["losses"][i], [r["losses"][i] for r in fp32], bf16["losses"][i]) for i in range(STEPS)],
        logits=logits_summary("logits", truth["logits"], [r["logits"] for r in fp32], bf16["logits"]),
        mistakes={name: deviation(relative(wrong["logits"], truth["logits"])) for name, wrong in mistakes.items()},
    )
    evaluation_part = logits_summary(
        "logits",
        evaluation(case, Run(torch.float64)),
        [evaluation(case, r) for r in FP32_RUNS],
        evaluation(case, Run(autocast=True)),
    )
    builder = timm if is_resnet_d(case["arch"]) else torchvision
    return dict(
        name=case_name(case),
        made_with=", ".join(f"{m.__name__} {m.__version__.split('+')[0]}" for m in (torch, builder)),
        **{key: case[key] for key in ("arch", "classes", "height", "width", "salt", "learning_rate", "weight_decay")},
        batch=BATCH,
        momentum=MOMENTUM,
        kink_margin=deviation(least),
        generator=generator_values(case),
        plain=plain_part,
        training=training_part,
        evaluation=evaluation_part,
    )


def scalar(truth, fp32, bf16):
    return dict(
        value=float(f"{truth:.12g}"),
        fp32=deviation(max(abs(v / truth - 1) for v in fp32)),
        bf16=deviation(abs(bf16 / truth - 1)),
    )


def case_name(case):
    return f"{case['arch']}-{case['classes']}-{case['height']}x{case['width']}"


def write(path, value):
    """JSON with one tensor a line, through a temporary file."""

    def lines(value, depth):
        if isinstance(value, dict) and depth < 3 or isinstance(value, list) and value and isinstance(value[0], dict):
            items = value.items() if isinstance(value, dict) else ((None, v) for v in value)
            inner = [(f"{json.dumps(k)}: " if k else "") + lines(v, depth + 1) for k, v in items]
            brackets = "{}" if isinstance(value, dict) else "[]"
            return brackets[0] + "\n" + ",\n".join(inner) + "\n" + brackets[1]
        return json.dumps(value, separators=(",", ":"))

    temporary = path.with_suffix(".tmp")
    temporary.write_text(lines(value, 0) + "\n")
    temporary.rename(path)


def report(value, seconds):
    worst = lambda items, key: max(items, key=lambda s: s[key])
    describe = lambda items, key: f"{worst(items, key)[key]:.1e} ({worst(items, key).get('name', '')})"
    middle = lambda items, key: sorted(s[key] for s in items)[len(items) // 2]
    p, t = value["plain"], value["training"]
    print(f"{value['name']}: {seconds:.0f} s, salt {value['salt']}, margin {value['kink_margin']:.1e}")
    for key in ("fp32", "bf16"):
        print(
            f"  {key}: plain loss {p['loss'][key]:.1e}, logits {p['logits']['summary'][key]:.1e},"
            f" gradients median {middle(p['gradients'], key):.1e} worst {describe(p['gradients'], key)},"
            f" statistics {describe(p['statistics'], key)};"
            f" ten losses {describe(t['losses'], key)}, logits {t['logits']['summary'][key]:.1e};"
            f" evaluation {value['evaluation']['summary'][key]:.1e}"
        )
    print("  mistakes", t["mistakes"])
    print("  losses", " ".join(f"{s['value']:.5f}" for s in t["losses"]), flush=True)


def main():
    wanted = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if wanted and not any(word in case_name(case) for word in wanted):
            continue
        started = time.monotonic()
        value = golden(case)
        write(OUT / f"{value['name']}.json", value)
        report(value, time.monotonic() - started)


if __name__ == "__main__":
    main()
