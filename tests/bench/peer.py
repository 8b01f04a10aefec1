"""What the peers of the benchmark share: how torch is set up, the choice of the fastest variant, rounds on demand.

Fairness: threads bound to cores, denormals flushed, memory kept between calls (glibc returns large blocks to the system
otherwise, and PyTorch pays for page faults at every layer), huge pages asked for.
"""
import ctypes
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
    parser.add_argument("--allocator", choices=["keep", "plain"], default="keep")


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


def timed(work, seconds, least):
    """Median seconds of one call, over calls that fill the time."""
    times = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), len(times)


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
    try:
        work = kind(arguments, variant, batch, autocast)
        for _ in range(3):
            work()
        row["images_per_s"] = round(batch / timed(work, 1.0, 3)[0], 3)
    except Exception as failure:  # no reason to stop: others are left
        row["failure"] = (str(failure).strip().splitlines() or [type(failure).__name__])[0][:200]
    print(row, file=sys.stderr, flush=True)
    return row.get("images_per_s", 0)


def choose(arguments, kind):
    """The fastest way per image at a batch in the middle, then its fastest batch."""
    import torch
    variants = arguments.variants.split(",") if arguments.variants else kind.variants
    casts = kind.casts if arguments.precision == "bf16" else [True]
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
            seconds, count = timed(best["work"], arguments.seconds, 3)
            say(seconds_per_iteration=seconds, iterations=count, batch=best["batch"], images_per_s=best["batch"] / seconds,
                megapixels_per_s=best["batch"] * arguments.size**2 / seconds / 1e6)
