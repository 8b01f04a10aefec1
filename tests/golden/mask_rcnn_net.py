"""torchvision's Mask R-CNN and Faster R-CNN with weights and images by formula, and what passes through them.

Shared by mask_rcnn.py (golden files) and tests/parity/reference.py. Weights are formula numbers times a scale per
tensor, which is found by looking at what flows through the network (calibrate), so that activations stay near 1,
scores spread, and a few dozens of objects are detected; the biases of the last layers are found too. Scales and biases
are few numbers: with them C makes the same weights.
"""
import collections

import numpy as np
import torch
import torchvision
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import misc

import formula

# masks: Mask R-CNN, else Faster R-CNN; trained: batch norm learns, else it is frozen. resize: (min, max) side or None.
# counts: proposals before and after suppression, per map and image. everything: all candidates are sampled, so that
# nothing is drawn at random; else torchvision draws, and what it drew is recorded.
Spec = collections.namedtuple("Spec", "backbone masks classes trained resize height width objects pre post everything bands norm_eps",
                              defaults=(3, 1e-5))
IMAGES = 2
LAST = ("rpn.head.cls_logits", "rpn.head.bbox_pred", "roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred",
        "roi_heads.mask_predictor.mask_fcn_logits")


def name_of(spec):
    return "%s_rcnn_%s" % ("mask" if spec.masks else "faster", spec.backbone)


def build(spec):
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d if spec.trained else misc.FrozenBatchNorm2d
    backbone = resnet_fpn_backbone(backbone_name=spec.backbone, weights=None, norm_layer=norm, trainable_layers=5)
    smaller, larger = spec.resize or (min(spec.height, spec.width), max(spec.height, spec.width))
    anchors = anchor_count(spec)
    sampling = dict(rpn_batch_size_per_image=2 * anchors, box_batch_size_per_image=4 * (spec.post + spec.objects),
                    box_positive_fraction=0.25) if spec.everything else dict(rpn_batch_size_per_image=256, box_batch_size_per_image=64)
    if spec.bands != 3:
        backbone.body.conv1 = torch.nn.Conv2d(spec.bands, 64, 7, 2, 3, bias=False)
        sampling.update(image_mean=[0.5] * spec.bands, image_std=[0.25] * spec.bands)
    make = MaskRCNN if spec.masks else FasterRCNN
    net = make(backbone, num_classes=spec.classes, min_size=smaller, max_size=larger, rpn_pre_nms_top_n_train=spec.pre,
               rpn_pre_nms_top_n_test=spec.pre, rpn_post_nms_top_n_train=spec.post, rpn_post_nms_top_n_test=spec.post, **sampling)
    for module in net.modules():
        if isinstance(module, (misc.FrozenBatchNorm2d, torch.nn.BatchNorm2d)):
            module.eps = spec.norm_eps
    return net


def batch_size(spec):
    """Height and width of the batch as the network sees it."""
    height, width = spec.height, spec.width
    if spec.resize:
        ratio = min(spec.resize[0] / min(height, width), spec.resize[1] / max(height, width))
        height, width = int(height * ratio), int(width * ratio)
    return (height + 31) // 32 * 32, (width + 31) // 32 * 32


def anchor_count(spec):
    height, width = batch_size(spec)
    counts = [3 * (height >> k) * (width >> k) for k in range(2, 6)]
    return sum(counts) + 3 * ((height // 32 + 1) // 2) * ((width // 32 + 1) // 2)


def fill(net, seed=""):
    """Formula weights; seed, a text, is put behind the names to draw others."""
    state = net.state_dict()
    for name, tensor in state.items():
        if tensor.ndim > 0:
            state[name] = torch.from_numpy(formula.fill_detector(name, tuple(tensor.shape), seed))
    net.load_state_dict(state)


class Calibration:
    """Forward hooks that set a tensor's scale when its layer is first used."""

    def __init__(self, net):
        self.scales, self.values, self.hooks = {}, {}, []
        for name, module in net.named_modules():
            if isinstance(module, misc.FrozenBatchNorm2d):
                self.hooks.append(module.register_forward_pre_hook(self.norm(name)))
            elif name in LAST:
                self.hooks.append(module.register_forward_hook(self.last(name)))
            elif isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)) and ".body." not in name:
                self.hooks.append(module.register_forward_hook(self.inner(name)))

    def scale(self, tensor, name, factor):
        factor = np.float32("%.4g" % factor)
        with torch.no_grad():
            tensor.mul_(float(factor))
        self.scales[name] = factor

    def norm(self, name):
        def hook(module, inputs):
            if name + ".running_var" not in self.scales:
                self.scale(module.running_var, name + ".running_var", inputs[0].square().mean().item())
        return hook

    def inner(self, name):
        """Outputs get a root mean square of 1."""
        def hook(module, inputs, y):
            if name + ".weight" in self.scales:
                return None
            bias = module.bias.view(-1, *[1] * (y.ndim - 2))
            factor = 1 / (y - bias).square().mean().sqrt().item()
            self.scale(module.weight, name + ".weight", factor)
            return (y - bias) * float(self.scales[name + ".weight"]) + bias
        return hook

    def last(self, name):
        """Outputs get a standard deviation and a mean, channel by channel."""
        spread, level = {"rpn.head.cls_logits": (1.5, -1.0), "rpn.head.bbox_pred": (0.25, 0.0),
                         "roi_heads.box_predictor.cls_score": (2.0, 0.0), "roi_heads.box_predictor.bbox_pred": (0.7, 0.0),
                         "roi_heads.mask_predictor.mask_fcn_logits": (2.0, 0.0)}[name]

        def hook(module, inputs, y):
            if name + ".weight" in self.scales:
                return None
            axes = [0] + list(range(2, y.ndim))
            deviation = y.var(axes).mean().sqrt().item()
            bias = module.bias.view(-1, *[1] * (y.ndim - 2))
            raw = y - bias
            self.scale(module.weight, name + ".weight", spread / max(deviation, 1e-12))
            raw = raw * float(self.scales[name + ".weight"])
            value = (level - raw.mean(axes)).detach().numpy()
            if name.endswith("cls_score"):
                value[0] += 2.5  # most regions are background
            value = np.array([np.float32("%.4g" % v) for v in value])
            with torch.no_grad():
                module.bias.copy_(torch.from_numpy(value))
            self.values[name + ".bias"] = value
            return raw + module.bias.view(-1, *[1] * (y.ndim - 2))
        return hook

    def end(self):
        for hook in self.hooks:
            hook.remove()


def calibrate(net, spec, images, targets):
    """Scales and last biases; set in the network, and returned for C. Sampled at their first use."""
    calibration = Calibration(net)
    for name, tensor in net.backbone.body.state_dict(keep_vars=True).items():
        if name.endswith(".bias"):  # large ones drown the image, small ones let rounding turn relus, which trained norms enlarge
            deep = spec.backbone in ("resnet50", "resnet101")
            calibration.scale(tensor, "backbone.body." + name, 0.1 if not spec.trained else 1.0 if deep else 0.4)
    mode = net.training
    net.train(spec.trained)
    kept = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with torch.no_grad():
        torch.manual_seed(0)
        net(list(images), [dict(t) for t in targets])
        for name, buffer in net.named_buffers():  # norms that learn have counted this image
            if name not in calibration.scales:
                buffer.copy_(kept[name])
    calibration.end()
    net.train(mode)
    return calibration.scales, calibration.values


def scene(name, spec):
    x, boxes, labels, masks = formula.scene(name, IMAGES, spec.height, spec.width, spec.bands, spec.objects, spec.classes)
    images = [torch.from_numpy(one).permute(2, 0, 1).contiguous() for one in x]
    targets = [{"boxes": torch.from_numpy(b), "labels": torch.from_numpy(l), "masks": torch.from_numpy(m)}
               for b, l, m in zip(boxes, labels, masks)]
    return images, targets


class Recorder:
    """What passes through a network, by the names that tests/parity/README.md lists."""

    def __init__(self, net):
        self.out, self.undo = {}, []
        self.hook(net.backbone.body, lambda inputs, y: self.many("body", y.values()))
        self.hook(net.backbone, lambda inputs, y: self.many("features", y.values()))
        self.hook(net.rpn.head, lambda inputs, y: (self.many("rpn.logits", y[0]), self.many("rpn.deltas", y[1])))
        self.spy(net, "transform", self.on_transform)
        self.spy(net.rpn, "filter_proposals", lambda a, y: (self.many("proposals", y[0], ".boxes"), self.many("proposals", y[1], ".scores")))
        self.spy(net.rpn, "assign_targets_to_anchors", lambda a, y: self.many("rpn.labels", y[0]))
        self.spy(net.rpn, "fg_bg_sampler", self.on_anchors)
        self.spy(net.roi_heads, "select_training_samples", self.on_rois)
        self.spy(net.roi_heads, "postprocess_detections", self.on_detections)
        self.hook(net.roi_heads.box_roi_pool, lambda inputs, y: self.one("box.pooled", y))
        self.hook(net.roi_heads.box_head, lambda inputs, y: self.one("box.head", y))
        self.hook(net.roi_heads.box_predictor, lambda inputs, y: (self.one("box.logits", y[0]), self.one("box.deltas", y[1])))
        if net.roi_heads.has_mask():
            self.hook(net.roi_heads.mask_roi_pool, lambda inputs, y: self.one("mask.pooled", y))
            self.hook(net.roi_heads.mask_predictor, lambda inputs, y: self.one("mask.logits", y))

    def one(self, name, value):
        self.out[name] = value.detach().clone() if torch.is_tensor(value) else torch.as_tensor(value)

    def many(self, name, values, tail=""):
        for i, value in enumerate(values):
            self.one("%s.%d%s" % (name, i, tail), value)

    def hook(self, module, tell):
        handle = module.register_forward_hook(lambda m, inputs, y: tell(inputs, y) and None)
        self.undo.append(handle.remove)

    def spy(self, owner, name, tell):
        plain = getattr(owner, name)

        def told(*arguments):
            y = plain(*arguments)
            tell(arguments, y)
            return y
        if isinstance(plain, torch.nn.Module):
            self.hook(plain, tell)
            return
        object.__setattr__(owner, name, told)
        self.undo.append(lambda: object.__setattr__(owner, name, plain) if name == "fg_bg_sampler" else object.__delattr__(owner, name))

    def on_transform(self, _, y):
        self.one("batch", y[0].tensors)
        self.one("sizes", y[0].image_sizes)

    def on_anchors(self, _, y):
        self.many("rpn", [torch.where(p)[0] for p in y[0]], ".positives")
        self.many("rpn", [torch.where(n)[0] for n in y[1]], ".negatives")

    def on_rois(self, _, y):
        boxes, matches, labels, targets = y
        self.many("rois", boxes, ".boxes")
        self.many("rois", labels, ".labels")
        self.many("rois", [torch.where(l > 0, m, 0) for m, l in zip(matches, labels)], ".matches")
        self.many("rois", [torch.where(l[:, None] > 0, t, 0) for t, l in zip(targets, labels)], ".targets")

    def on_detections(self, _, y):
        for k, part in enumerate(("boxes", "scores", "labels")):
            self.many("detections", y[k], "." + part)

    def end(self):
        for undo in self.undo:
            undo()
        return self.out


def evaluate(net, images):
    """Inference; everything on the way."""
    net.eval()
    recorder = Recorder(net)
    with torch.no_grad():
        results = net(list(images))
    out = recorder.end()
    for i, result in enumerate(results):
        out["result.%d.boxes" % i] = result["boxes"]
        if "masks" in result:
            out["mask.%d.pasted" % i] = result["masks"][:, 0]
    if "mask.logits" in out:
        labels = torch.cat([out["detections.%d.labels" % i] for i in range(len(images))])
        out["mask.probabilities"] = out["mask.logits"].sigmoid()[torch.arange(len(labels)), labels]
    return out


LOSSES = {"loss_objectness": "objectness", "loss_rpn_box_reg": "rpn_box_reg", "loss_classifier": "classifier",
          "loss_box_reg": "box_reg", "loss_mask": "mask"}


def learn(net, images, targets, draw=0):
    """A training step without its update; names begin with train."""
    net.train()
    net.zero_grad(set_to_none=True)
    recorder = Recorder(net)
    torch.manual_seed(draw)
    losses = net(list(images), [dict(t) for t in targets])
    out = {"train." + key: value for key, value in recorder.end().items()}
    sum(losses.values()).backward()
    for key, value in losses.items():
        out["train.loss." + LOSSES[key]] = value.detach()
    for name, parameter in net.named_parameters():
        out["train.grad." + name] = parameter.grad.detach()
    for name, buffer in net.named_buffers():
        if ".running_" in name and any(isinstance(m, torch.nn.BatchNorm2d) for m in net.backbone.body.modules()):
            out["train.stat." + name] = buffer.detach().clone()
    return out


def double(images, targets):
    return [i.double() for i in images], [dict(t, boxes=t["boxes"].double()) for t in targets]


DECISIONS = ("proposals.", "detections.", "rois.", "rpn.labels", "positives", "negatives")


def same_decisions(single, exact):
    """Whether float32 and float64 chose alike: then no choice hangs on rounding."""
    for key, value in single.items():
        if not any(part in key for part in DECISIONS):
            continue
        if value.shape != exact[key].shape or value.numel() and (value.double() - exact[key].double()).abs().max() > 1e-2:
            return False
    return True


def versions():
    return "torch %s, torchvision %s" % (torch.__version__, torchvision.__version__)
