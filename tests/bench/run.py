"""Drives both sides of the benchmark in turn; called by run.sh, which explains the options."""
import argparse
import json
import os
import selectors
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Failure(Exception):
    """One side did not answer."""


class Side:
    """One program that times a round whenever it is told to."""

    def __init__(self, command, arguments):
        environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads))
        if command[0] == sys.executable and "PEER_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["PEER_LIBRARY_PATH"]
        if arguments.device == "cpu":
            environment.update(OMP_PROC_BIND="true", OMP_PLACES="cores")
        self.name = os.path.basename(command[1] if command[0] == sys.executable else command[0])
        self.deadline = time.monotonic() + arguments.patience
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.about = self.answer()

    def answer(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                left = self.deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.process.kill()
                    raise Failure("%s took too long" % self.name)
                line = self.process.stdout.readline()
                if not line:
                    raise Failure("%s ended without an answer" % self.name)
                if line.startswith(b"{"):  # a library may talk, too
                    return json.loads(line)

    def round(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()


CASES = {
    "cpu": [
        # name, mode, encoder, size, batch (0: each side's best), precision, what is wanted of the row
        ("unet_resnet34_inference_512", "infer", "resnet34", 512, 0, "f32", {}),
        ("unet_resnet34_inference_512", "infer", "resnet34", 512, 0, "bf16", {}),
        ("unet_resnet34_training_256_batch8", "train", "resnet34", 256, 8, "f32", {}),
        ("unet_resnet34_training_256_batch8", "train", "resnet34", 256, 8, "bf16", {}),
        ("mask_rcnn_resnet50_inference_512", "infer", "resnet50", 512, 0, "f32", {}),
        ("mask_rcnn_resnet50_inference_512", "infer", "resnet50", 512, 0, "bf16", {}),
        ("mask_rcnn_resnet50_training_512_batch2", "train", "resnet50", 512, 2, "f32", {}),
        ("mask_rcnn_resnet50_training_512_batch2", "train", "resnet50", 512, 2, "bf16", {}),
    ],
    "gpu": [
        ("unet_resnet34_inference_512", "infer", "resnet34", 512, 32, "bf16",
         {"ratio": 1.5, "ours": 1000, "limit": 0.35}),
        ("unet_resnet34_training_512", "train", "resnet34", 512, 16, "bf16", {"ratio": 1.5}),
        ("mask_rcnn_resnet50_inference_512", "infer", "resnet50", 512, 16, "bf16", {"ratio": 3}),
        ("mask_rcnn_resnet50_inference_1024", "infer", "resnet50", 1024, 4, "bf16", {"ratio": 3}),
        ("mask_rcnn_resnet50_training_800", "train", "resnet50", 800, 8, "bf16", {"ratio": 3, "busy": 0.95}),
    ],
    # Whether all of it works, on any machine: nothing to learn from its figures.
    "tiny": [
        ("unet_resnet18_inference_64", "infer", "resnet18", 64, 1, "bf16", {}),
        ("unet_resnet18_training_64", "train", "resnet18", 64, 1, "bf16", {}),
        ("mask_rcnn_resnet18_inference_64", "infer", "resnet18", 64, 1, "bf16", {}),
        ("mask_rcnn_resnet18_training_64", "train", "resnet18", 64, 1, "bf16", {}),
    ],
}
PEAK_SIDE = 8192  # of the matrices whose product is a GPU's measured peak


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True, help="folder of unet_bench, detector_bench and, for a CPU, peak_bench")
    parser.add_argument("--cases", required=True, help="folder for the weights and images that both sides take")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--tiny", action="store_true", help="small networks and images, to see that it works")
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--list", action="store_true", help="prints the names of the cases")
    parser.add_argument("--json", help="writes the table as a list of objects, anew after each case")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a round")
    parser.add_argument("--batch", type=int, help="instead of each case's own")
    parser.add_argument("--autotune", choices=["yes", "no"], default="yes", help="ours on a GPU: the fastest engines by the clock")
    parser.add_argument("--peer", choices=["yes", "no"], default="yes")
    parser.add_argument("--variants", default="", help="the peer's, parted by commas, instead of all")
    parser.add_argument("--budget", type=float, default=1e9, help="seconds in which the peer may look for its fastest way")
    parser.add_argument("--patience", type=float, default=3600, help="seconds that each side has for a case")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def cases(arguments):
    found = CASES["tiny" if arguments.tiny else arguments.device]
    return [case for case in found if case[0].startswith(arguments.only)]


def commands(case, arguments):
    """Ours, the peer's, and that of the peak."""
    name, mode, encoder, size, batch, precision, _ = case
    batch = batch if arguments.batch is None else arguments.batch
    on = ["--device=" + arguments.device, "--precision=" + precision, "--seconds=%g" % arguments.seconds]
    common = on + ["--mode=" + mode, "--size=%d" % size, "--batch=%d" % batch]
    tuned = ["--autotune=" + arguments.autotune]
    peer = ["--threads=%d" % arguments.threads, "--budget=%g" % arguments.budget, "--variants=" + arguments.variants]
    if arguments.device == "gpu":
        side = 64 if arguments.tiny else PEAK_SIDE
        peak = [os.path.join(arguments.ours, "unet_bench"), "--mode=peak", "--size=%d" % side] + on + tuned
    else:
        peak = [os.path.join(arguments.ours, "peak_bench")] + on
    if name.startswith("unet"):
        common.append("--encoder=" + encoder)
        return [os.path.join(arguments.ours, "unet_bench")] + common + tuned, \
               [sys.executable, os.path.join(HERE, "peer_unet.py")] + peer + common, peak
    folder = os.path.join(arguments.cases, "%s_%d" % (encoder, size))
    script = [sys.executable, os.path.join(HERE, "peer_mask_rcnn.py"), "--backbone=" + encoder, "--case=" + folder]
    if not os.path.exists(os.path.join(folder, "case.json")):
        subprocess.run(script + ["--write", "--size=%d" % size, "--objects=%d" % (4 if arguments.tiny else 40)], check=True,
                       stdout=sys.stderr)
    return [os.path.join(arguments.ours, "detector_bench"), "--case=" + folder] + common + tuned, script + peer + common, peak


def start_peer(command, arguments):
    """None and why, where there is none."""
    if arguments.peer == "no":
        return None, "not asked for"
    try:
        return Side(command, arguments), ""
    except Failure as failure:
        return None, str(failure)


def measure(case, arguments):
    ours_command, peer_command, peak_command = commands(case, arguments)
    ours = Side(ours_command, arguments)
    peak = Side(peak_command, arguments)
    peer, why = start_peer(peer_command, arguments)
    sides = [side for side in (ours, peer, peak) if side is not None]
    answers = {side: [] for side in sides}
    for _ in range(arguments.rounds):
        for side in sides:
            answers[side].append(side.round())
    for side in sides:
        side.end()
    row = result(case, arguments, ours, answers[ours], peak, answers[peak])
    if peer is None:
        row["peer_failure"] = why
    else:
        add_peer(row, case, ours, answers[ours], peer, answers[peer])
    return row


def median_seconds(answers):
    return statistics.median(answer.get("seconds", answer.get("seconds_per_iteration")) for answer in answers)


def scale_of(case):
    name, mode, _, size = case[:4]
    by_area = mode == "infer" and name.startswith("unet")
    return ("Mpx/s", size * size / 1e6) if by_area else ("images/s", 1)


def result(case, arguments, ours, ours_answers, peak, peak_answers):
    name, mode, _, _, _, precision, wanted = case
    unit, scale = scale_of(case)
    seconds = median_seconds(ours_answers)
    flop = ours.about["flop"] * (1 if mode == "infer" else 3)
    peak_flop_s = peak.about["flop"] / median_seconds(peak_answers)
    row = {
        "name": name,
        "unit": unit,
        "ours": ours.about["batch"] * scale / seconds,
        "limit": flop / seconds / peak_flop_s,
        "precision": "float32" if precision == "f32" else "bfloat16",
        "device": arguments.device,
        "threads": arguments.threads,
        "batch": [ours.about["batch"]],
        "peak_gflop_s": peak_flop_s / 1e9,
    }
    if arguments.device == "gpu":
        row["busy"] = min(1, statistics.median(a["stream_seconds"] / a["seconds"] for a in ours_answers))
        row["wanted"] = wanted
        row["autotune"] = arguments.autotune
    return row


def add_peer(row, case, ours, ours_answers, peer, peer_answers):
    _, scale = scale_of(case)
    batches = [ours.about["batch"], peer.about["batch"]]
    row["peer"] = batches[1] * scale / median_seconds(peer_answers)
    row["ratio"] = statistics.median(p["seconds_per_iteration"] / batches[1] / (o["seconds"] / batches[0])
                                     for o, p in zip(ours_answers, peer_answers))
    row["peer_version"] = "%s, %s" % (peer.about["version"], peer.about["variant"])
    row["tried"] = peer.about["tried"]
    row["batch"] = batches
    for key in ("proposals", "detections", "positives"):
        if key in ours.about and key in peer.about:
            row[key] = [ours.about[key], peer.about[key]]


def cell(row, key, form, scale=1):
    """A figure, and behind a slash what is wanted of it."""
    if key not in row:
        return "-"
    wanted = row.get("wanted", {}).get(key)
    return form % (scale * row[key]) + ("" if wanted is None else "/" + form % (scale * wanted))


HEAD = "%-36s %-9s %16s %9s %-8s %11s %12s %11s   %s"


def show(row):
    print(HEAD % (row["name"], row["precision"], cell(row, "ours", "%.2f"), cell(row, "peer", "%.2f"), row["unit"],
                  cell(row, "ratio", "%.2f"), cell(row, "limit", "%.0f %%", 100), cell(row, "busy", "%.0f %%", 100),
                  row.get("peer_version", row.get("peer_failure", ""))), flush=True)


def main():
    arguments = parse()
    if arguments.list:
        print("\n".join(dict.fromkeys(case[0] for case in cases(arguments))))
        return
    print(HEAD % ("name", "precision", "ours", "peer", "unit", "ratio", "of peak", "busy", "peer (%d threads)" % arguments.threads))
    rows, failures = [], 0
    for case in cases(arguments):
        try:
            rows.append(measure(case, arguments))
            show(rows[-1])
        except (Failure, subprocess.CalledProcessError) as failure:
            failures += 1
            print("%-38s %s" % (case[0], failure), flush=True)
        if arguments.json:
            with open(arguments.json, "w") as stream:
                json.dump(rows, stream, indent=2)
                stream.write("\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
