"""What the peers of the benchmark share: how torch is set up, the choice of the fastest variant, rounds on demand.

Fairness: threads bound to cores, denormals flushed, memory kept between calls (glibc returns large blocks to the system
otherwise, and PyTorch pays for page faults at every layer), huge pages asked for.
"""
import ctypes
import gc
import json
import os
import statistics
import sys
import time
import warnings


def add_options(parser):
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a round")
    parser.add_argument("--variants", default="", help="only these, parted by commas")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--budget", type=float, default=1e9, help="seconds for the choice of the fastest; what is left then is not tried")
    parser.add_argument("--allocator", choices=["keep", "plain"], default="keep")


def prepare(arguments):
    """Before torch is loaded."""
    warnings.filterwarnings("ignore")
    if arguments.device == "gpu":
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(arguments.threads))
    os.environ.setdefault("OMP_PROC_BIND", "true")
    os.environ.setdefault("OMP_PLACES", "cores")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if arguments.allocator == "keep":
        mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX, M_TRIM_THRESHOLD
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)


def settle(arguments):
    """After torch is loaded."""
    import torch
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    if arguments.device == "gpu":
        torch.backends.cudnn.benchmark = True  # the fastest engines, by the clock


def place(arguments):
    """Where tensors live, by torch's name."""
    return "cuda" if arguments.device == "gpu" else "cpu"


def timed(arguments, work, seconds, least):
    """Median seconds of one call, over calls that fill the time. On a GPU eight at a time are issued before the host waits."""
    import torch
    times, at_once = [], 8 if arguments.device == "gpu" else 1
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(at_once):
            work()
        if arguments.device == "gpu":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / at_once)
    return statistics.median(times), len(times) * at_once


def name_of(arguments, way):
    variant, autocast = way
    return variant + {"f32": "", "bf16": " autocast" if autocast else " bfloat16"}[arguments.precision]


def attempt(arguments, kind, way, batch, tried):
    """Images per second of one way to work; 0 if this release cannot."""
    import torch
    variant, autocast = way
    torch.compiler.reset()  # what is compiled shares its count of recompilations
    row = {"variant": name_of(arguments, way), "batch": batch}
    tried.append(row)
    if time.perf_counter() > arguments.budget_ends and len(tried) > 1:
        row["failure"] = "not tried: the time was used up"
        return 0
    if arguments.device == "gpu":
        gc.collect()
        torch.cuda.empty_cache()
    try:
        work = kind(arguments, variant, batch, autocast)
        for _ in range(3):
            work()
        row["images_per_s"] = round(batch / timed(arguments, work, 1.0, 3)[0], 3)
    except Exception as failure:  # no reason to stop: others are left
        row["failure"] = (str(failure).strip().splitlines() or [type(failure).__name__])[0][:200]
    print(row, file=sys.stderr, flush=True)
    return row.get("images_per_s", 0)


def choose(arguments, kind):
    """The fastest way per image at a batch in the middle, then its fastest batch."""
    import torch
    arguments.budget_ends = time.perf_counter() + arguments.budget
    variants = arguments.variants.split(",") if arguments.variants else kind.variants[arguments.device]
    casts = kind.casts if arguments.precision == "bf16" else [True]
    batches = [arguments.batch] if arguments.batch else kind.batches[arguments.device]
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
    if arguments.device == "gpu":
        gc.collect()
        torch.cuda.empty_cache()
    work = kind(arguments, way[0], batch, way[1])
    for _ in range(3):
        work()
    return {"work": work, "variant": name_of(arguments, way), "batch": batch}, tried


def say(**values):
    print(json.dumps(values), flush=True)


def serve(arguments, best, **about):
    """Says what it will time, then runs a round for every line "go"."""
    import torch
    say(ready=True, mode=arguments.mode, size_px=arguments.size, precision=arguments.precision, threads=torch.get_num_threads(),
        batch=best["batch"], **about)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        if line.strip() == "go":
            best["work"]()  # caches are the other program's
            seconds, count = timed(arguments, best["work"], arguments.seconds, 3)
            say(seconds_per_iteration=seconds, iterations=count, batch=best["batch"], images_per_s=best["batch"] / seconds,
                megapixels_per_s=best["batch"] * arguments.size**2 / seconds / 1e6)
