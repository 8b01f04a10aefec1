"""Golden values of whole detectors, from torchvision: names, every stage of inference, losses, gradients.

    python3 tests/golden/mask_rcnn.py [--only names|nets] [--net PREFIX]

Weights and images come from formula.py and mask_rcnn_net.py: formula_fill_detector times scale.NAME (1 where there is
none), but value.NAME where that is given. Layout of tensors: PyTorch's. Stages bear the names of tests/parity/README.md.
All candidates are sampled in training (the counts in spec are as large as that takes), so nothing is drawn at random. The
image is one for which float32 and float64 decide alike everywhere. Inference is float32, as torchvision runs it; losses
and gradients are float64.
"""
import argparse
import collections
import copy
import os

import numpy as np
import torch

import formula
import mask_rcnn_net as nets
from golden_file import GoldenFile
from relu_corners import turned_relus

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = 64  # values kept of a large tensor
RAW = 4  # of a gradient
WHOLE = 1024  # elements up to which a tensor is kept whole
ATTEMPTS = 40
CORNER_MOST = 5e-4  # of what relus in doubt may do to a gradient
Drawn = collections.namedtuple("Drawn", "net scales values scene images targets out apart corners steady")
NETS = {  # what is behind the network's name -> spec
    "mask_rcnn_resnet18_frozen": nets.Spec("resnet18", True, 3, False, None, 128, 128, 6, 400, 100, True),
    "mask_rcnn_resnet18_trained": nets.Spec("resnet18", True, 3, True, None, 128, 128, 6, 400, 100, True),
    "mask_rcnn_resnet50_frozen": nets.Spec("resnet50", True, 4, False, None, 128, 96, 6, 400, 100, True),
    "mask_rcnn_resnet50_trained": nets.Spec("resnet50", True, 2, True, None, 128, 128, 6, 400, 100, True),
    "mask_rcnn_resnet18_resized": nets.Spec("resnet18", True, 3, False, (120, 150), 75, 100, 4, 400, 60, True),
    "faster_rcnn_resnet18_frozen": nets.Spec("resnet18", False, 3, False, None, 96, 128, 6, 400, 100, True),
}


def distance(a, b, floor=0.0):
    if a.shape != b.shape:
        return 1.0
    return (a.double() - b.double()).abs().max().item() / max(b.abs().max().item(), floor, 1e-300) if b.numel() else 0.0


def distances(single, exact):
    """Of every tensor, its largest difference over its largest value; gradients that are 0 but for rounding are measured
    against 1e-5 of the largest."""
    grads = [value.abs().max().item() for key, value in exact.items() if ".grad." in key]
    floor = 1e-5 * max(grads, default=0)
    return {key: distance(single[key], exact[key], floor if ".grad." in key else 0.0) for key in exact}


def worst_gradient(apart):
    return max(distance for key, distance in apart.items() if ".grad." in key)


def stages(net, spec, images, targets, inference, corners=False):
    """All stages; how far those of float32 are from those of float64; whether both decide alike, and without corners their
    gradients are near."""
    exact_net = copy.deepcopy(net).double()
    exact_images, exact_targets = nets.double(images, targets)
    out, apart, steady = {}, {}, True
    if inference:
        out = nets.evaluate(net, images)
        exact = nets.evaluate(exact_net, exact_images)
        apart, steady = distances(out, exact), nets.same_decisions(out, exact)
    if spec.resize is None:
        single = nets.learn(copy.deepcopy(net), images, targets)
        exact = nets.learn(exact_net, exact_images, exact_targets)
        steady = steady and nets.same_decisions(single, exact)
        out.update(exact)
        apart.update(distances(single, exact))
        steady = steady and (corners or worst_gradient(apart) < 3e-4)
    return out, apart, steady


def corner_effects(net, images, targets):
    """What relus that rounding may turn do to each gradient."""
    exact_net = copy.deepcopy(net).double()
    turning_net = copy.deepcopy(exact_net)
    exact = nets.learn(exact_net, *nets.double(images, targets))
    with turned_relus():
        turned = nets.learn(turning_net, *nets.double(images, targets))
    return {key: value for key, value in distances(turned, exact).items() if ".grad." in key}


def draw(spec, seed="", state=None, attempts=ATTEMPTS, corners=False):
    """A network, of this state or by formula, and the first scene for which its decisions stand fast (or the last); with
    corners, the first for which gradients do, too (or that for which they do best)."""
    net = nets.build(spec)
    if state is None:
        nets.fill(net, seed)
        scales, values = nets.calibrate(net, spec, *nets.scene("scene0" + seed, spec))
    else:
        net.load_state_dict(state)
        scales, values = {}, {}
    best, best_effect = None, 0.0
    for attempt in range(attempts):
        name = "scene%d%s" % (attempt, seed)
        images, targets = nets.scene(name, spec)
        effects = corner_effects(net, images, targets) if corners and spec.resize is None else {}
        effect = max(effects.values(), default=0.0)
        if best is not None and best.steady and effect >= best_effect:
            continue
        out, apart, steady = stages(net, spec, images, targets, state is not None or not spec.trained, corners)
        if best is None or steady > best.steady or steady == best.steady and effect < best_effect:
            best, best_effect = Drawn(net, scales, values, name, images, targets, out, apart, effects, steady), effect
        if steady and effect < CORNER_MOST:
            break
    return best


def counts(spec):
    """Of candidates sampled in training: RPN all and positive, RoI all and positive."""
    anchors, rois = nets.anchor_count(spec), spec.post + spec.objects
    return [2 * anchors, anchors, rois, rois] if spec.everything else [256, 128, 64, 16]


LEFT_OUT = ("train.body", "train.batch", "train.sizes", "pooled", "box.head", "positives", "negatives", "rpn.labels", "targets")


def write_net(name, spec):
    drawn = draw(spec)
    if not drawn.steady:
        raise SystemExit("%s: no scene without close decisions" % name)
    scene, out = drawn.scene, drawn.out
    words = """
        torchvision's %s, %d classes with background, batch norm %s; %d images "%s" of %d x %d px with %d objects, by
        formula_scene. Made by tests/golden/mask_rcnn.py, %s.
        spec: masks classes trained_norm images height width objects resize_min resize_max (0: none), proposals of a map before and of an
        image after suppression, sampled anchors: all, positive, sampled regions of an image: all, positive. attempt: the
        scene's number. NAME.digest: sum, sum of magnitudes, dot with formula signed(NAME); NAME.sample: at formula
        places(NAME); NAME.most: the largest magnitude; other tensors are whole. grad.most: of all gradients.
        """ % (nets.name_of(spec), spec.classes, "trained" if spec.trained else "frozen", nets.IMAGES, scene, spec.height, spec.width,
               spec.objects, nets.versions())
    print(name, scene)
    with GoldenFile(os.path.join(HERE, name + ".txt"), words) as file:
        file.add("spec", [spec.masks, spec.classes, spec.trained, nets.IMAGES, spec.height, spec.width, spec.objects,
                          *(spec.resize or (0, 0)), spec.pre, spec.post, *counts(spec)])
        file.add("attempt", int(scene[len("scene"):]))
        for key, value in drawn.scales.items():
            file.add("scale." + key, value)
        for key, value in drawn.values.items():
            file.add("value." + key, value)
        grads = [value for key, value in out.items() if ".grad." in key]
        if grads:
            file.add("grad.most", max(value.abs().max().item() for value in grads))
        for key, value in out.items():
            if not any(part in key for part in LEFT_OUT):
                write_tensor(file, key, value.double().numpy())


def write_tensor(file, key, value):
    grad = ".grad." in key or ".stat." in key
    if value.size <= (RAW if grad else WHOLE):
        file.add(key, value)
        return
    file.add(key + ".digest", formula.digest(key, value))
    file.add(key + ".most", np.abs(value).max())
    file.add(key + ".sample", value.reshape(-1)[formula.places(key, RAW if grad else SAMPLES, value.size)])


def write_names(masks, backbone):
    spec = nets.Spec(backbone, masks, 2, True, None, 128, 128, 1, 10, 10, True)
    with open(os.path.join(HERE, nets.name_of(spec) + ".names"), "w") as stream:
        for name, tensor in nets.build(spec).state_dict().items():
            stream.write("%s %s\n" % (name, " ".join(map(str, tensor.shape))) if tensor.ndim else name + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["names", "nets"])
    parser.add_argument("--net", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.only in (None, "names"):
        for backbone in ("resnet18", "resnet34", "resnet50", "resnet101"):
            write_names(True, backbone)
        write_names(False, "resnet18")
    if arguments.only in (None, "nets"):
        for name, spec in NETS.items():
            if name.startswith(arguments.net):
                write_net(name, spec)


if __name__ == "__main__":
    main()
