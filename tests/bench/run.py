"""Drives both sides of the benchmark in turn; called by run.sh, which explains the options."""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Side:
    """One program that times a round whenever it is told to."""

    def __init__(self, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_PROC_BIND="true", OMP_PLACES="cores")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("%s ended without an answer" % self.process.args[0])
        return json.loads(line)

    def round(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        answer = self.answer()
        return answer.get("seconds", answer.get("seconds_per_iteration"))

    def end(self):
        self.process.stdin.write("end\n")
        self.process.stdin.close()
        self.process.wait()


CASES = [
    # name, mode, encoder, size, batch (0: each side's best), precision
    ("unet_resnet34_inference_512", "infer", "resnet34", 512, 0, "f32"),
    ("unet_resnet34_inference_512", "infer", "resnet34", 512, 0, "bf16"),
    ("unet_resnet34_training_256_batch8", "train", "resnet34", 256, 8, "f32"),
    ("unet_resnet34_training_256_batch8", "train", "resnet34", 256, 8, "bf16"),
    ("mask_rcnn_resnet50_inference_512", "infer", "resnet50", 512, 0, "f32"),
    ("mask_rcnn_resnet50_inference_512", "infer", "resnet50", 512, 0, "bf16"),
    ("mask_rcnn_resnet50_training_512_batch2", "train", "resnet50", 512, 2, "f32"),
    ("mask_rcnn_resnet50_training_512_batch2", "train", "resnet50", 512, 2, "bf16"),
]


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True, help="folder of unet_bench and detector_bench")
    parser.add_argument("--cases", required=True, help="folder for the weights and images that both sides take")
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--json", help="writes the table as a list of objects")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def commands(case, arguments):
    """Ours and the peer's."""
    name, mode, encoder, size, batch, precision = case
    common = ["--mode=" + mode, "--size=%d" % size, "--batch=%d" % batch, "--precision=" + precision]
    threads = "--threads=%d" % arguments.threads
    if name.startswith("unet"):
        common.append("--encoder=" + encoder)
        return [os.path.join(arguments.ours, "unet_bench")] + common, \
               [sys.executable, os.path.join(HERE, "peer_unet.py"), threads] + common
    folder = os.path.join(arguments.cases, "%s_%d" % (encoder, size))
    peer = [sys.executable, os.path.join(HERE, "peer_mask_rcnn.py"), "--backbone=" + encoder, "--case=" + folder]
    if not os.path.exists(os.path.join(folder, "case.json")):
        subprocess.run(peer + ["--write", "--size=%d" % size], check=True)
    return [os.path.join(arguments.ours, "detector_bench"), "--case=" + folder] + common, peer + [threads] + common


def measure(case, arguments):
    name, mode, encoder, size, batch, precision = case
    ours_command, peer_command = commands(case, arguments)
    ours = Side(ours_command, arguments.threads)
    peer = Side(peer_command, arguments.threads)
    peak = Side([os.path.join(arguments.ours, "unet_bench"), "--mode=peak", "--precision=" + precision], arguments.threads)
    ours_s, peer_s, peak_s = [], [], []
    for _ in range(arguments.rounds):
        ours_s.append(ours.round())
        peer_s.append(peer.round())
        peak_s.append(peak.round())
    for side in (ours, peer, peak):
        side.end()
    return result(case, arguments, (ours, ours_s), (peer, peer_s), (peak, peak_s))


def result(case, arguments, ours, peer, peak):
    name, mode, _, size, _, precision = case
    pixels = size * size / 1e6
    by_area = mode == "infer" and name.startswith("unet")
    unit = "Mpx/s" if by_area else "images/s"
    scale = pixels if by_area else 1
    rates = [side.about["batch"] * scale / statistics.median(seconds) for side, seconds in (ours, peer)]
    flop = ours[0].about["flop"] * (1 if mode == "infer" else 3)
    peak_flop_s = peak[0].about["flop"] / statistics.median(peak[1])
    counts = {key: [side.about[key] for side in (ours[0], peer[0])] for key in ("proposals", "detections", "positives")
              if key in ours[0].about and key in peer[0].about}
    return {
        "name": name,
        "unit": unit,
        "ours": rates[0],
        "peer": rates[1],
        "ratio": statistics.median([p / peer[0].about["batch"] / (o / ours[0].about["batch"])
                                    for o, p in zip(ours[1], peer[1])]),
        "limit": flop / statistics.median(ours[1]) / peak_flop_s,
        "precision": "float32" if precision == "f32" else "bfloat16",
        "threads": arguments.threads,
        "peer_version": "%s, %s" % (peer[0].about["version"], peer[0].about["variant"]),
        "batch": [ours[0].about["batch"], peer[0].about["batch"]],
        "peak_gflop_s": peak_flop_s / 1e9,
        **counts,
    }


def show(row):
    print("%-36s %-9s %8.3f %8.3f %-8s %6.2f %6.0f %%   %s" %
          (row["name"], row["precision"], row["ours"], row["peer"], row["unit"], row["ratio"], 100 * row["limit"],
           row["peer_version"]), flush=True)


def main():
    arguments = parse()
    print("%-36s %-9s %8s %8s %-8s %6s %8s   %s" %
          ("name", "precision", "ours", "peer", "unit", "ratio", "of peak", "peer (%d threads)" % arguments.threads))
    rows = []
    for case in CASES:
        if case[0].startswith(arguments.only):
            rows.append(measure(case, arguments))
            show(rows[-1])
    if arguments.json:
        with open(arguments.json, "w") as stream:
            json.dump(rows, stream, indent=2)
            stream.write("\n")


main()
