#!/usr/bin/env python3
"""Times PyTorch's training or evaluation step of a torchvision ResNet on a GPU, as its users write it: channels-last, autocast,
cuDNN's autotuning, TF32, fused SGD. The batch is on the GPU already, so that nothing but the step is measured.

    python scripts/benchmarks/step_gpu_pytorch.py --size 224 --batch 256 --precision bf16 [--mode compile] [--eval]

Prints one JSON line: the median over the counted steps, by the GPU's clock.
"""
import argparse
import json
import statistics

import torch
import torch.nn.functional as F
import torchvision

parser = argparse.ArgumentParser()
parser.add_argument("--arch", default="resnet50")
parser.add_argument("--size", type=int, default=128)
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--precision", choices=["bf16", "fp16", "fp32"], default="bf16")
parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--eval", action="store_true")
arguments = parser.parse_args()

torch.manual_seed(0)
torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.cudnn.allow_tf32 = True
device = torch.device("cuda")
model = getattr(torchvision.models, arguments.arch)().to(device, memory_format=torch.channels_last)
model.train(not arguments.eval)
optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4, fused=True)
scaler = torch.amp.GradScaler("cuda", enabled=arguments.precision == "fp16")
dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[arguments.precision]
network = torch.compile(model) if arguments.mode == "compile" else model
pixels = torch.randn(arguments.batch, 3, arguments.size, arguments.size, device=device)
pixels = pixels.to(memory_format=torch.channels_last)
labels = torch.randint(0, 1000, (arguments.batch,), device=device)


def step():
    with torch.autocast("cuda", dtype, enabled=arguments.precision != "fp32"):
        if arguments.eval:
            with torch.no_grad():
                return network(pixels).float().argmax(1)
        loss = F.cross_entropy(network(pixels).float(), labels)
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss


for _ in range(8):
    step()
events = [torch.cuda.Event(enable_timing=True) for _ in range(arguments.steps + 1)]
for event in events[:-1]:
    event.record()
    step()
events[-1].record()
torch.cuda.synchronize()
milliseconds = statistics.median(a.elapsed_time(b) for a, b in zip(events, events[1:]))
print(json.dumps({
    "peer": f"pytorch {torch.__version__} {arguments.mode}", "device": torch.cuda.get_device_name(),
    "arch": arguments.arch, "size": arguments.size, "batch": arguments.batch, "precision": arguments.precision,
    "eval": arguments.eval, "step_ms": round(milliseconds, 2),
    "images_per_s": round(arguments.batch / milliseconds * 1e3, 1),
    "peak_mb": torch.cuda.max_memory_reserved() >> 20,
}))
