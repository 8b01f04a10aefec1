"""PyTorch's side of the benchmark: U-Net inference or training steps, in PyTorch's fastest way that was found.

    python3 tests/bench/peer_unet.py --mode infer --encoder resnet34 --size 512 --precision bf16 --threads 2

Tries its variants once (eager, traced, compiled; each with batches of 1 to 8 for inference), prints one line of JSON
that says which is the fastest, and waits. For every line "go" on stdin it runs one round of about --seconds and prints a
line of JSON with the seconds per iteration, so that a driver can alternate between it and another program. "end" or the
end of stdin ends it. What is timed:

  infer   normalised float32 images, channels last, to logits; no gradients, batch norm in eval mode
  train   zero_grad, forward, cross-entropy, backward, AdamW, on one batch that stays the same

Fairness: threads bound to cores, denormals flushed, memory kept between calls (glibc returns large blocks to the system
otherwise, and PyTorch pays for page faults at every layer), huge pages asked for.
"""
import argparse
import ctypes
import json
import os
import statistics
import sys
import time
import warnings


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["infer", "train"], required=True)
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--size", type=int, default=512, help="side of an image, px")
    parser.add_argument("--batch", type=int, default=0, help="images; 0: the best of 1, 2, 4, 8 (infer) or 8 (train)")
    parser.add_argument("--bands", type=int, default=3)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a round")
    parser.add_argument("--variants", default="", help="only these, parted by commas")
    parser.add_argument("--allocator", choices=["keep", "plain"], default="keep")
    return parser.parse_args()


def prepare(arguments):
    """Before torch is loaded."""
    os.environ.setdefault("OMP_NUM_THREADS", str(arguments.threads))
    os.environ.setdefault("OMP_PROC_BIND", "true")
    os.environ.setdefault("OMP_PLACES", "cores")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if arguments.allocator == "keep":
        mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX, M_TRIM_THRESHOLD
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
    warnings.filterwarnings("ignore")


ARGUMENTS = parse()
prepare(ARGUMENTS)

import torch  # noqa: E402
import torch._inductor.config  # noqa: E402
import segmentation_models_pytorch as smp  # noqa: E402


def network(arguments):
    torch.manual_seed(1)
    net = smp.Unet(arguments.encoder, encoder_weights=None, in_channels=arguments.bands, classes=arguments.classes)
    return net.to(memory_format=torch.channels_last)


def images(arguments, batch):
    torch.manual_seed(2)
    x = torch.randn(batch, arguments.bands, arguments.size, arguments.size)
    return x.contiguous(memory_format=torch.channels_last)


class Infer:
    """One call: one batch of images to logits."""

    variants = ["eager", "traced", "compiled"]
    batches = [1, 2, 4, 8]

    def __init__(self, arguments, variant, batch, autocast):
        self.x = images(arguments, batch)
        self.half = arguments.precision == "bf16"
        self.autocast = self.half and autocast
        net = network(arguments).eval()
        if self.half and not autocast:
            net = net.to(torch.bfloat16)
        example = self.x.to(torch.bfloat16) if self.half and not autocast else self.x
        with torch.inference_mode(variant == "eager"), torch.no_grad(), self.cast():
            if variant == "traced":
                net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, example, check_trace=False)))
            elif variant == "compiled":
                torch._inductor.config.freezing = True
                net = torch.compile(net, dynamic=False)
        self.net = net

    def cast(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.autocast, cache_enabled=False)

    def __call__(self):
        with torch.inference_mode(), self.cast():
            x = self.x.to(torch.bfloat16) if self.half and not self.autocast else self.x
            return self.net(x)


class Train:
    """One call: one step."""

    variants = ["eager", "compiled"]
    batches = [8]

    def __init__(self, arguments, variant, batch, autocast):
        self.x = images(arguments, batch)
        self.labels = torch.randint(0, arguments.classes, (batch, arguments.size, arguments.size))
        self.half = arguments.precision == "bf16"
        self.net = network(arguments).train()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-4, fused=True)
        if variant == "compiled":
            torch._inductor.config.freezing = False
            self.net = torch.compile(self.net, dynamic=False)

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            logits = self.net(self.x)
        loss = torch.nn.functional.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss


def timed(work, seconds, least):
    """Median seconds of one call, over calls that fill the time."""
    times = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), len(times)


def attempt(arguments, kind, way, batch, tried):
    """Images per second of one way to work; 0 if this release cannot."""
    variant, autocast = way
    torch.compiler.reset()  # what is compiled shares its count of recompilations
    row = {"variant": name_of(arguments, way), "batch": batch}
    tried.append(row)
    try:
        work = kind(arguments, variant, batch, autocast)
        for _ in range(3):
            work()
        row["images_per_s"] = round(batch / timed(work, 1.0, 3)[0], 3)
    except Exception as failure:  # no reason to stop: others are left
        row["failure"] = str(failure).strip().splitlines()[0][:200]
    print(row, file=sys.stderr, flush=True)
    return row.get("images_per_s", 0)


def name_of(arguments, way):
    variant, autocast = way
    return variant + {"f32": "", "bf16": " autocast" if autocast else " bfloat16"}[arguments.precision]


def choose(arguments, kind):
    """The fastest way per image at a batch in the middle, then its fastest batch."""
    variants = arguments.variants.split(",") if arguments.variants else kind.variants
    casts = [True, False] if kind is Infer and arguments.precision == "bf16" else [True]
    batches = [arguments.batch] if arguments.batch else kind.batches
    tried = []
    middle = batches[len(batches) // 2]
    speed = {way: attempt(arguments, kind, way, middle, tried) for way in [(v, c) for v in variants for c in casts]}
    way = max(speed, key=speed.get)
    if speed[way] == 0:
        sys.exit("no variant works: %s" % tried)
    of_batch = {middle: speed[way]}
    for batch in batches:
        if batch != middle:
            of_batch[batch] = attempt(arguments, kind, way, batch, tried)
    batch = max(of_batch, key=of_batch.get)
    torch.compiler.reset()
    work = kind(arguments, way[0], batch, way[1])
    for _ in range(3):
        work()
    return {"work": work, "variant": name_of(arguments, way), "batch": batch}, tried


def say(**values):
    print(json.dumps(values), flush=True)


def main():
    torch.set_num_threads(ARGUMENTS.threads)
    torch.set_flush_denormal(True)
    best, tried = choose(ARGUMENTS, Infer if ARGUMENTS.mode == "infer" else Train)
    pixels = best["batch"] * ARGUMENTS.size**2
    say(ready=True, mode=ARGUMENTS.mode, encoder=ARGUMENTS.encoder, size_px=ARGUMENTS.size, precision=ARGUMENTS.precision,
        threads=torch.get_num_threads(), version="torch " + torch.__version__, variant=best["variant"] + ", channels last",
        batch=best["batch"], tried=tried)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        if line.strip() == "go":
            best["work"]()  # caches are the other program's
            seconds, count = timed(best["work"], ARGUMENTS.seconds, 3)
            say(seconds_per_iteration=seconds, iterations=count, batch=best["batch"],
                images_per_s=best["batch"] / seconds, megapixels_per_s=pixels / seconds / 1e6)


if __name__ == "__main__":
    main()
