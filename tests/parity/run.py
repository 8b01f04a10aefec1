"""Runs the cases of parity and shows the table; called by run.sh, which explains the options."""
import argparse
import contextlib
import glob
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "golden")
TRAINING = "train."
GRADIENTS = "train.grad."
CORNER_MOST = 5e-4  # below, corners change no verdict
NEEDED = ("torch", "torchvision", "safetensors", "segmentation_models_pytorch")


def parse():
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--seed", default="", help="draws other weights and images")
    parser.add_argument("--weights", help="a file with a state_dict; one case, of these weights")
    parser.add_argument("--norm-eps", type=float, default=1e-5, help="of frozen norms in --weights")
    parser.add_argument("--size", type=int, default=256, help="side of the images for --weights, px")
    parser.add_argument("--model", default="", help="cases whose name begins so")
    parser.add_argument("--golden", action="store_true", help="golden files instead of a reference made on the spot")
    parser.add_argument("--json", help="writes the table as a list of objects")
    parser.add_argument("--keep", help="keeps the cases in this folder")
    return parser.parse_args()


def compare(program, target, model, own, corners, callers=False):
    """Rows of one case; own: how far PyTorch's float32 is from its float64, by stage; corners: what relus within rounding of 0 do
    to it; callers: the weights are the caller's."""
    command = [program] + target
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("%s ended with %d" % (" ".join(command), done.returncode))
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not rows:
        sys.exit("%s compared nothing" % " ".join(command))
    for row in rows:
        if corners.get(row["stage"], 0) > CORNER_MOST:
            row["tolerance"] += 2 * corners[row["stage"]]
        if callers and row["stage"].startswith(GRADIENTS):
            row["tolerance"] = max(row["tolerance"], 3 * worst_gradient(own))
        elif callers and row["stage"].startswith(TRAINING):
            row["tolerance"] = max(row["tolerance"], 3 * own.get(row["stage"], 0))
    return [{"model": model, "stage": row["stage"], "max_rel_err": row["max_rel_err"], "tolerance": row["tolerance"],
             **({"reference_float32": own[row["stage"]]} if row["stage"] in own else {})} for row in rows]


def worst_gradient(own):
    """Of PyTorch's in float32: a relu at its corner turns gradients, and norms over few pixels enlarge that."""
    return max((distance for stage, distance in own.items() if stage.startswith(GRADIENTS)), default=0)


def passes(row):
    return row["max_rel_err"] is not None and row["max_rel_err"] <= row["tolerance"]


MANY = (GRADIENTS, "train.stat.")


def shown(rows):
    """Parameters are many: of gradients and statistics only the worst."""
    few = [row for row in rows if not row["stage"].startswith(MANY)]
    for prefix in MANY:
        many = [row for row in rows if row["stage"].startswith(prefix)]
        if many:
            worst = max(many, key=lambda row: (not passes(row), row["max_rel_err"] or 0))
            few.append(dict(worst, stage="%s (%d)" % (worst["stage"], len(many))))
    return few


def show(rows):
    for row in shown(rows):
        error = "none" if row["max_rel_err"] is None else "%.2g" % row["max_rel_err"]
        own = "%.2g" % row["reference_float32"] if "reference_float32" in row else ""
        print("%-27s %-66s %9s %9.1g %9s  %s" % (row["model"], row["stage"], error, row["tolerance"], own, "ok" if passes(row) else "ABOVE"))
    sys.stdout.flush()


def golden_rows(arguments):
    for pattern in ("mask_rcnn_*.txt", "faster_rcnn_*.txt", "unet_resnet*.txt"):
        for path in sorted(glob.glob(os.path.join(GOLDEN, pattern))):
            model = os.path.splitext(os.path.basename(path))[0]
            if model.startswith(arguments.model):
                yield compare(arguments.program, ["--golden", os.path.basename(path)], model, {}, {})


def reference_rows(arguments):
    """Each case is compared as soon as it is made, and then removed."""
    folder = arguments.keep or tempfile.mkdtemp(prefix="parity")
    command = [sys.executable, os.path.join(HERE, "reference.py"), "--out", folder, "--seed", arguments.seed, "--model", arguments.model,
               "--norm-eps", str(arguments.norm_eps), "--size", str(arguments.size)]
    command += ["--weights", arguments.weights] if arguments.weights else []
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reference, contextlib.ExitStack() as ending:
            ending.callback(reference.terminate)  # nothing if it has ended
            for line in reference.stdout:
                case = os.path.join(folder, line.strip())
                with open(os.path.join(case, "float32.json")) as stream:
                    own = json.load(stream)
                with open(os.path.join(case, "corners.json")) as stream:
                    corners = json.load(stream)
                yield compare(arguments.program, [case], line.strip(), own, corners, arguments.weights is not None)
                if not arguments.keep:
                    shutil.rmtree(case)
            reference.wait()
        if reference.returncode != 0:
            sys.exit("reference.py ended with %d" % reference.returncode)
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    arguments = parse()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing and (arguments.weights or arguments.seed):
        sys.exit("%s cannot load %s; --seed and --weights need them (--python names another)" % (sys.executable, ", ".join(missing)))
    if missing and not arguments.golden:
        print("without %s: golden files serve as the reference" % ", ".join(missing))
    rows = []
    print("%-27s %-66s %9s %9s %9s" % ("model", "stage", "error", "tolerance", "PyTorch's"))
    for case in golden_rows(arguments) if arguments.golden or missing else reference_rows(arguments):
        show(case)
        rows += case
    if not rows:
        sys.exit("no model begins with “%s”" % arguments.model)
    if arguments.json:
        with open(arguments.json, "w") as stream:
            json.dump(rows, stream, indent=1)
            stream.write("\n")
    failed = [row for row in rows if not passes(row)]
    print("%d stages, %d above their tolerance" % (len(rows), len(failed)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
