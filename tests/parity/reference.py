"""Makes the reference that our networks are compared with: torchvision's and segmentation_models_pytorch's numbers.

    python3 tests/parity/reference.py --out FOLDER [--seed N] [--model PREFIX] [--weights FILE.pth]

Writes one folder per case, FOLDER/MODEL, in the form that README.md describes, and prints their names. Without --weights the
cases are those of CASES, their weights drawn by the formula of tests/golden under the seed. With --weights there is one
case: backbone, classes, bands, masks and the kind of batch norm are found from the file's shapes.
"""
import argparse
import copy
import json
import os
import re
import sys

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "golden"))
import formula  # noqa: E402
import mask_rcnn  # noqa: E402
import mask_rcnn_net as nets  # noqa: E402
from relu_corners import turned_relus  # noqa: E402

ATTEMPTS = 12
MOST_ELEMENTS = 16 << 20  # larger tensors are left out
DETECTORS = {
    "mask_rcnn_resnet18_frozen": nets.Spec("resnet18", True, 3, False, None, 128, 128, 6, 400, 100, True),
    "mask_rcnn_resnet18_drawn": nets.Spec("resnet18", True, 3, False, None, 128, 128, 6, 400, 100, False),
    "mask_rcnn_resnet18_resized": nets.Spec("resnet18", True, 3, False, (120, 150), 75, 100, 4, 400, 60, True),
    "mask_rcnn_resnet50_frozen": nets.Spec("resnet50", True, 4, False, None, 128, 96, 6, 400, 100, True),
    "mask_rcnn_resnet50_trained": nets.Spec("resnet50", True, 3, True, None, 128, 128, 6, 400, 100, True),
    "mask_rcnn_resnet101_frozen": nets.Spec("resnet101", True, 3, False, None, 128, 128, 6, 400, 100, True),
    "faster_rcnn_resnet34_frozen": nets.Spec("resnet34", False, 3, False, None, 128, 128, 6, 400, 100, True),
}
UNETS = {"unet_resnet18": ("resnet18", 3, 2), "unet_resnet34": ("resnet34", 5, 4), "unet_resnet50": ("resnet50", 3, 3)}
BLOCKS = {("basic", 2, 2, 2, 2): "resnet18", ("basic", 3, 4, 6, 3): "resnet34", ("deep", 3, 4, 6, 3): "resnet50",
          ("deep", 3, 4, 23, 3): "resnet101"}


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", default="")
    parser.add_argument("--model", default="", help="cases whose name begins so")
    parser.add_argument("--weights", help="a .pth or .safetensors file with a state_dict of torchvision's or smp's names")
    parser.add_argument("--norm-eps", type=float, default=1e-5, help="of frozen norms in --weights; torchvision's COCO weights: 0")
    parser.add_argument("--size", type=int, default=256, help="side of the images that --weights are tried on, px")
    return parser.parse_args()


# --- one case ---

def tensor_of(value):
    value = value.detach()
    return (value.float() if value.is_floating_point() else value).contiguous().clone()


def write_case(folder, about, weights, inputs, expected, apart, corners):
    os.makedirs(folder, exist_ok=True)
    kept = {key: tensor_of(value) for key, value in expected.items() if value.numel() <= MOST_ELEMENTS}
    save_file({key: tensor_of(value) for key, value in weights.items()}, os.path.join(folder, "weights.safetensors"))
    save_file({key: tensor_of(value) for key, value in inputs.items()}, os.path.join(folder, "input.safetensors"))
    save_file(kept, os.path.join(folder, "expected.safetensors"))
    for file, content in (("case.json", about), ("float32.json", {key: apart[key] for key in kept if key in apart}),
                          ("corners.json", corners)):
        with open(os.path.join(folder, file), "w") as stream:
            json.dump(content, stream, indent=1)
            stream.write("\n")


# --- detectors ---

def about_detector(name, spec, drawn, seed):
    transform = drawn.net.transform
    rpn, roi, rois, rois_positive = mask_rcnn.counts(spec)
    height, width = nets.batch_size(spec)
    return {
        "model": name, "kind": "mask_rcnn" if spec.masks else "faster_rcnn", "backbone": spec.backbone, "bands": spec.bands,
        "classes": spec.classes, "norm": "trained" if spec.trained else "frozen", "norm_eps": spec.norm_eps, "seed": seed,
        "images": nets.IMAGES, "height": height, "width": width, "resize": list(spec.resize or []), "objects": spec.objects,
        "mean": list(transform.image_mean), "std": list(transform.image_std),
        "rpn": {"pre": spec.pre, "post": spec.post, "iou": 0.7, "least_side": 1e-3, "sampled": rpn, "sampled_positive": roi},
        "roi": {"sampled": rois, "sampled_positive": rois_positive},
        "detections": {"score": 0.05, "iou": 0.5, "most": 100},
        "inference": "proposals.0.boxes" in drawn.out, "training": spec.resize is None, "sampling": "all" if spec.everything else "drawn",
        "steady": drawn.steady, "made_by": nets.versions(),
    }


def write_detector(out, name, spec, seed, state=None):
    drawn = mask_rcnn.draw(spec, seed, state, 1 if state else ATTEMPTS, state is None)
    inputs = {"image.%d" % i: image for i, image in enumerate(drawn.images)}
    for i, target in enumerate(drawn.targets):
        inputs.update({"truth.%d.%s" % (i, key): value for key, value in target.items()})
    about = about_detector(name, spec, drawn, seed)
    write_case(os.path.join(out, name), about, drawn.net.state_dict(), inputs, drawn.out, drawn.apart, drawn.corners)


# --- U-Nets ---

def unet_run(net, x, labels, weight):
    out = {}
    net.zero_grad(set_to_none=True)
    net.eval()
    with torch.no_grad():
        out["logits"] = net(x)
    net.train()
    out["train.logits"] = net(x)
    out["train.loss"] = torch.nn.functional.cross_entropy(out["train.logits"], labels.long(), weight, ignore_index=255)
    out["train.loss"].backward()
    out.update({"train.grad." + name: parameter.grad for name, parameter in net.named_parameters()})
    out.update({"train.stat." + name: buffer for name, buffer in net.named_buffers() if buffer.ndim > 0})
    return {key: value.detach().clone() for key, value in out.items()}


def unet_batch(name, side, bands, classes):
    x, labels = formula.image(name, nets.IMAGES, side, side, bands, classes)
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)


def write_unet(out, name, parts, seed, state=None, side=64):
    import segmentation_models_pytorch as smp
    encoder, bands, classes = parts
    net = smp.Unet(encoder, encoder_weights=None, in_channels=bands, classes=classes)
    attempts = 1 if state else ATTEMPTS
    state = state or {key: torch.from_numpy(formula.fill_named(key, key + seed, tuple(value.shape))) if value.ndim else value
                      for key, value in net.state_dict().items()}
    net.load_state_dict(state)
    weight = torch.tensor([1.0, 2.5, 0.5, 1.25] * ((classes + 3) // 4))[:classes]
    weights = {key: value.clone() for key, value in net.state_dict().items()}
    exact_net = copy.deepcopy(net).double()
    for attempt in range(attempts):  # the first batch whose gradients hang on no relu's corner, or the last
        x, labels = unet_batch("unet%s%s" % (seed, attempt or ""), side, bands, classes)
        exact_net.load_state_dict(state)
        exact = unet_run(exact_net, x.double(), labels, weight.double())
        exact_net.load_state_dict(state)
        with turned_relus():
            turned = unet_run(exact_net, x.double(), labels, weight.double())
        corners = {key: value for key, value in mask_rcnn.distances(turned, exact).items() if ".grad." in key}
        if max(corners.values()) < mask_rcnn.CORNER_MOST:
            break
    single = unet_run(net, x, labels, weight)
    about = {"model": name, "kind": "unet", "backbone": encoder, "bands": bands, "classes": classes, "seed": seed,
             "images": nets.IMAGES, "height": side, "width": side, "inference": True, "training": True, "made_by": nets.versions()}
    write_case(os.path.join(out, name), about, weights, {"x": x, "labels": labels, "class_weights": weight}, exact,
               mask_rcnn.distances(single, exact), corners)


# --- weights of the caller's ---

def read_state(path):
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file
        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("model", "state_dict", "net", "model_state_dict", "params", "weights"):
        state = state[key] if isinstance(state.get(key), dict) else state
    if all(key.startswith("module.") for key in state):
        state = {key[len("module."):]: value for key, value in state.items()}
    return state


def backbone_of(state, prefix):
    counts = []
    for layer in range(1, 5):
        found = re.compile(re.escape(prefix) + r"layer%d\.(\d+)\.conv1\.weight$" % layer)
        counts.append(len([key for key in state if found.match(key)]))
    depth = "deep" if prefix + "layer1.0.conv3.weight" in state else "basic"
    if (depth, *counts) not in BLOCKS:
        raise SystemExit("no known ResNet: %s blocks of %s" % (depth, counts))
    return BLOCKS[(depth, *counts)]


def write_callers(arguments, name, state):
    if "segmentation_head.0.weight" in state:
        parts = backbone_of(state, "encoder."), state["encoder.conv1.weight"].shape[1], state["segmentation_head.0.weight"].shape[0]
        return write_unet(arguments.out, name, parts, arguments.seed, state, arguments.size)
    if "roi_heads.box_predictor.cls_score.weight" not in state:
        raise SystemExit("%s: neither a Mask or Faster R-CNN of torchvision's nor a Unet of smp's" % arguments.weights)
    if "rpn.head.conv.1.0.weight" in state:
        raise SystemExit("%s: the second version of torchvision's R-CNN is not compared" % arguments.weights)
    trained = "backbone.body.bn1.num_batches_tracked" in state
    masks = any(key.startswith("roi_heads.mask_") for key in state)
    spec = nets.Spec(backbone_of(state, "backbone.body."), masks, state["roi_heads.box_predictor.cls_score.weight"].shape[0], trained, None,
                     arguments.size, arguments.size, 8, 1000, 300, True, state["backbone.body.conv1.weight"].shape[1],
                     1e-5 if trained else arguments.norm_eps)
    return write_detector(arguments.out, name, spec, arguments.seed, state)


def main():
    arguments = parse()
    if arguments.weights:
        name = os.path.splitext(os.path.basename(arguments.weights))[0]
        write_callers(arguments, name, read_state(arguments.weights))
        print(name, flush=True)
        return
    for name, spec in DETECTORS.items():
        if name.startswith(arguments.model):
            write_detector(arguments.out, name, spec, arguments.seed)
            print(name, flush=True)
    for name, parts in UNETS.items():
        if name.startswith(arguments.model):
            write_unet(arguments.out, name, parts, arguments.seed)
            print(name, flush=True)


if __name__ == "__main__":
    main()
