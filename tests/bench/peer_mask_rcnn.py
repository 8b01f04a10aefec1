"""PyTorch's side of the benchmark: torchvision's Mask R-CNN, inference or training steps, in the fastest way that was found.

    python3 tests/bench/peer_mask_rcnn.py --mode infer --backbone resnet50 --size 512 --precision bf16 --threads 2 --case FOLDER
    python3 tests/bench/peer_mask_rcnn.py --write --backbone resnet50 --size 512 --case FOLDER

Speaks as peer_unet.py does: one line of JSON when it is ready, one per "go" on stdin, until "end". What is timed:

  infer   float32 images (0 to 1) to boxes, classes, scores and masks in the image: normalising, backbone, 1000 proposals, box
          head, detections (100 an image at most), mask head, pasting; the transform does not resize. --paste off leaves the
          masks at 28 x 28
  train   zero_grad, transform, forward, five losses, backward, SGD with momentum; a batch that stays the same, 2000 proposals,
          512 regions an image. The rate is so small that the weights stay what they are, and with them the counts

Both sides must do the same work, so weights, images and objects are shared: --write makes them in FOLDER
(weights.safetensors with torchvision's names; input.safetensors with image.I, truth.I.boxes, .labels, .masks; case.json; for our
side the same as case.txt and case.f32) and ends; later calls read them. Weights come from the formula of tests/golden, scaled so that scores spread. The line "ready"
tells proposals and detections of an image, and the regions with an object in training, so that a driver can compare.
"""
import argparse
import json
import os
import sys

import peer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "golden"))
IMAGES = 4


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["infer", "train"])
    parser.add_argument("--write", action="store_true", help="makes the case and ends")
    parser.add_argument("--case", required=True, help="folder of the weights, images and objects that both sides take")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=512, help="side of an image, px")
    parser.add_argument("--batch", type=int, default=0, help="images; 0: the best of some (infer), 2 or on a GPU 8 (train)")
    parser.add_argument("--classes", type=int, default=2, help="with background; for --write")
    parser.add_argument("--objects", type=int, default=40, help="of an image; for --write")
    parser.add_argument("--paste", choices=["on", "off"], default="on")
    peer.add_options(parser)
    return parser.parse_args()


ARGUMENTS = parse()
peer.prepare(ARGUMENTS)

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch._inductor.config  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch.nn.utils.fusion import fuse_conv_bn_eval  # noqa: E402
from torchvision.models.detection import MaskRCNN  # noqa: E402
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone  # noqa: E402
import mask_rcnn_net as nets  # noqa: E402


# --- what both sides share ---

def network(backbone, classes, size):
    body = resnet_fpn_backbone(backbone_name=backbone, weights=None, norm_layer=torch.nn.BatchNorm2d, trainable_layers=5)
    return MaskRCNN(body, num_classes=classes, min_size=size, max_size=size)


def buildings(arguments):
    """Images with rectangles the size of houses, most of them turned, and their boxes and masks."""
    random = np.random.default_rng(2)
    size = arguments.size
    y, x = np.mgrid[0:size, 0:size] + 0.5
    images, targets = [], []
    for _ in range(IMAGES):
        image = random.normal(0.45, 0.1, (3, size, size))
        masks = []
        while len(masks) < arguments.objects:
            half, centre, angle = random.uniform(6, 24, 2), random.uniform(0, size, 2), random.uniform(0, np.pi / 2)
            along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
            across = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
            mask = (np.abs(along) < half[0]) & (np.abs(across) < half[1])
            if mask.sum() >= 50:
                masks.append(mask)
                image[:, mask] = random.normal(random.uniform(0.2, 0.9), 0.05, (3, mask.sum()))
        boxes = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] for rows, columns in map(np.nonzero, masks)]
        images.append(torch.from_numpy(image.clip(0, 1).astype(np.float32)))
        targets.append({"boxes": torch.tensor(boxes, dtype=torch.float32), "masks": torch.from_numpy(np.stack(masks).astype(np.uint8)),
                        "labels": torch.from_numpy(random.integers(1, arguments.classes, len(masks)))})
    return images, targets


def settle(net, images, targets):
    """Running statistics become those of the images."""
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    net.train()
    with torch.no_grad():
        net(images[:2], targets[:2])
    for norm in norms:
        norm.momentum = 0.1
        norm.num_batches_tracked.zero_()


def write_case(arguments):
    net = network(arguments.backbone, arguments.classes, arguments.size)
    images, targets = buildings(arguments)
    nets.fill(net)
    spec = nets.Spec(arguments.backbone, True, arguments.classes, True, None, arguments.size, arguments.size, arguments.objects, 1000, 1000, False)
    nets.calibrate(net, spec, images[:2], targets[:2])
    settle(net, images, targets)
    inputs = {"image.%d" % i: image for i, image in enumerate(images)}
    for i, target in enumerate(targets):
        inputs.update({"truth.%d.%s" % (i, key): value for key, value in target.items()})
    os.makedirs(arguments.case, exist_ok=True)
    save_file(net.state_dict(), os.path.join(arguments.case, "weights.safetensors"))
    save_file(inputs, os.path.join(arguments.case, "input.safetensors"))
    write_plain(arguments, {**net.state_dict(), **inputs})
    with open(os.path.join(arguments.case, "case.json"), "w") as stream:
        json.dump({"kind": "mask_rcnn", "backbone": arguments.backbone, "bands": 3, "classes": arguments.classes, "norm": "trained",
                   "norm_eps": 1e-5, "images": IMAGES, "height": arguments.size, "width": arguments.size, "objects": arguments.objects,
                   "mean": list(net.transform.image_mean), "std": list(net.transform.image_std)}, stream, indent=1)
        stream.write("\n")


def write_plain(arguments, tensors):
    """The same for our side (case_file.h)."""
    with open(os.path.join(arguments.case, "case.txt"), "w") as text, open(os.path.join(arguments.case, "case.f32"), "wb") as values:
        text.write("backbone %s\nclasses %d\nimages %d\nsize %d\n" % (arguments.backbone, arguments.classes, IMAGES, arguments.size))
        for name, tensor in tensors.items():
            text.write("tensor %s %d\n" % (name, tensor.numel()))
            values.write(tensor.to(torch.float32).contiguous().numpy().tobytes())


class Case:
    def __init__(self, arguments):
        with open(os.path.join(arguments.case, "case.json")) as stream:
            self.about = json.load(stream)
        self.state = load_file(os.path.join(arguments.case, "weights.safetensors"))
        self.inputs = load_file(os.path.join(arguments.case, "input.safetensors"))
        self.place = peer.place(arguments)
        if self.about["backbone"] != arguments.backbone or self.about["height"] != arguments.size:
            sys.exit("%s was written for %s and %d px" % (arguments.case, self.about["backbone"], self.about["height"]))

    def network(self):
        net = network(self.about["backbone"], self.about["classes"], self.about["height"])
        net.load_state_dict(self.state)
        return net.to(self.place)

    def images(self, batch):
        return [self.inputs["image.%d" % (i % self.about["images"])].to(self.place) for i in range(batch)]

    def targets(self, batch):
        return [{key: self.inputs["truth.%d.%s" % (i % self.about["images"], key)].to(self.place) for key in ("boxes", "labels", "masks")}
                for i in range(batch)]


# --- ways to run it ---

class Half(torch.nn.Module):
    """A part in bfloat16 among parts in float32."""

    def __init__(self, part):
        super().__init__()
        self.part = part.to(torch.bfloat16)

    def forward(self, *inputs):
        return self.cast(self.part(*self.cast(inputs, torch.bfloat16)), torch.float32)

    def cast(self, value, dtype):
        if torch.is_tensor(value):
            return value.to(dtype)
        if isinstance(value, dict):
            return {key: self.cast(part, dtype) for key, part in value.items()}
        return type(value)(self.cast(part, dtype) for part in value)


def fold_norms(net):
    """Batch norm in eval mode becomes part of the convolution before it."""
    for module in [net.backbone.body] + list(net.backbone.body.modules()):
        for conv, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1")):
            children = dict(module.named_children())
            if isinstance(children.get(conv), torch.nn.Conv2d) and isinstance(children.get(norm), torch.nn.BatchNorm2d):
                module.add_module(conv, fuse_conv_bn_eval(children[conv], children[norm]))
                module.add_module(norm, torch.nn.Identity())


def parts(net):
    """Owner and name of what is computed by layers alone, and whether its batch is always the same."""
    return [(net, "backbone", True), (net.rpn, "head", True), (net.roi_heads, "box_head", False), (net.roi_heads, "box_predictor", False),
            (net.roi_heads, "mask_head", False), (net.roi_heads, "mask_predictor", False)]


class Traced(torch.nn.Module):
    """A backbone by TorchScript, frozen; its maps get their names back."""

    def __init__(self, backbone, example):
        super().__init__()
        self.names = list(backbone(example))
        listed = torch.nn.Sequential(backbone, Values()).eval()
        self.traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(listed, example, check_trace=False)))

    def forward(self, x):
        return dict(zip(self.names, self.traced(x)))


class Values(torch.nn.Module):
    def forward(self, x):
        return tuple(x.values())


class Infer:
    """One call: one batch of images to results. Variants: nchw is PyTorch's own layout, else channels last."""

    variants = {"cpu": ["eager", "eager nchw", "folded", "folded nchw", "traced", "compiled backbone", "compiled"],
                "gpu": ["eager", "folded", "compiled backbone", "eager nchw", "compiled"]}
    casts = [True, False]
    batches = {"cpu": [1, 2, 4], "gpu": [4, 8, 16]}

    def __init__(self, arguments, variant, batch, autocast):
        case = Case(arguments)
        self.place = case.place
        half = arguments.precision == "bf16"
        self.autocast = half and autocast
        self.images = case.images(batch)
        net = case.network().eval()
        if "eager" not in variant and "compiled" not in variant:
            fold_norms(net)
        if "nchw" not in variant:
            net = net.to(memory_format=torch.channels_last)
        if half and not autocast:
            for owner, name, _ in parts(net):
                setattr(owner, name, Half(getattr(owner, name)))
        if arguments.paste == "off":
            net.transform.postprocess = lambda result, shapes, sizes: result
        self.net = net
        with torch.no_grad(), self.cast():
            self.quicken(variant)

    def quicken(self, variant):
        net = self.net
        if variant == "traced":
            example = net.transform(self.images)[0].tensors.contiguous(memory_format=torch.channels_last)
            net.backbone = Traced(net.backbone, example)
        elif variant.startswith("compiled"):
            torch._inductor.config.freezing = True
            for owner, name, is_steady in parts(net)[:1 if "backbone" in variant else None]:
                setattr(owner, name, torch.compile(getattr(owner, name), dynamic=False if is_steady else None))

    def cast(self):
        return torch.autocast(self.place, torch.bfloat16, enabled=self.autocast, cache_enabled=False)

    def __call__(self):
        with torch.no_grad(), self.cast():
            return self.net(self.images)


class Train:
    """One call: one step."""

    variants = {"cpu": ["eager", "eager nchw", "compiled backbone", "compiled"],
                "gpu": ["eager", "compiled backbone", "eager nchw", "compiled"]}
    casts = [True]
    batches = {"cpu": [2], "gpu": [8]}

    def __init__(self, arguments, variant, batch, autocast):
        case = Case(arguments)
        self.place = case.place
        self.half = arguments.precision == "bf16"
        self.images, self.targets = case.images(batch), case.targets(batch)
        self.net = case.network().train()
        if "nchw" not in variant:
            self.net = self.net.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-9, momentum=0.9, weight_decay=1e-4, fused=True)
        if variant.startswith("compiled"):
            torch._inductor.config.freezing = False
            for owner, name, is_steady in parts(self.net)[:1 if "backbone" in variant else None]:
                setattr(owner, name, torch.compile(getattr(owner, name), dynamic=False if is_steady else None))

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.place, torch.bfloat16, enabled=self.half):
            losses = self.net(self.images, self.targets)
        sum(losses.values()).backward()
        self.optimizer.step()
        return losses


def work_counts(arguments):
    """Proposals and detections of an image in inference, regions with an object in training: float32, eager."""
    case = Case(arguments)
    net = case.network().eval()
    proposals, positives = [], []
    chosen = net.roi_heads.select_training_samples
    net.rpn.register_forward_hook(lambda m, inputs, y: proposals.extend(len(one) for one in y[0]) if not net.training else None)

    def choose(*inputs):
        y = chosen(*inputs)
        positives.extend(int((labels > 0).sum()) for labels in y[2])
        return y
    net.roi_heads.select_training_samples = choose
    with torch.no_grad():
        found = [len(one["boxes"]) for one in net(case.images(2))]
        net.train()
        net(case.images(2), case.targets(2))
    return {"proposals": proposals, "detections": found, "positives": positives}


def main():
    peer.settle(ARGUMENTS)
    torch.manual_seed(1)
    if ARGUMENTS.write:
        return write_case(ARGUMENTS)
    if ARGUMENTS.mode is None:
        sys.exit("--mode infer or train is missing")
    counts = work_counts(ARGUMENTS)
    best, tried = peer.choose(ARGUMENTS, Infer if ARGUMENTS.mode == "infer" else Train)
    return peer.serve(ARGUMENTS, best, backbone=ARGUMENTS.backbone, version=nets.versions(),
                      variant=best["variant"], tried=tried, **counts)


if __name__ == "__main__":
    main()
