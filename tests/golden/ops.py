"""Golden values of single ops, from PyTorch in float64 (what float32 approximates).

    python3 tests/golden/ops.py

Inputs are formula.array(NAME, …) with the names given here, channels last; the op tests make the same ones. Files
hold results: images as N, H, W, C, weights as PyTorch has them.
"""
import os

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
import torchvision

import formula
from golden_file import GoldenFile

HERE = os.path.dirname(os.path.abspath(__file__))


def golden(name, words):
    return GoldenFile(os.path.join(HERE, "op_%s.txt" % name),
                      words + "\nMade by tests/golden/ops.py, torch %s." % torch.__version__)


def image(name, n, h, w, c, grad=True):
    """An image of the formula as PyTorch wants it: N, C, H, W."""
    x = torch.from_numpy(formula.array(name, n, h, w, c)).double().permute(0, 3, 1, 2).contiguous()
    return x.requires_grad_(grad)


def weights(name, *dims):
    return torch.from_numpy(formula.array(name, *dims)).double().requires_grad_()


def nhwc(x):
    return x.detach().permute(0, 2, 3, 1).numpy()


def flat(x):
    return x.detach().numpy()


def backward(y, name):
    n, c, h, w = y.shape
    y.backward(image(name, n, h, w, c, grad=False))


CONVOLUTIONS = [  # n, h, w, in, out, kernel h, kernel w, stride, pad, dilation, groups, bias
    (2, 13, 11, 3, 8, 7, 7, 2, 3, 1, 1, 0),
    (2, 6, 5, 8, 6, 3, 3, 1, 1, 1, 1, 1),
    (1, 9, 8, 6, 4, 3, 3, 2, 1, 1, 2, 1),
    (1, 8, 9, 4, 5, 3, 3, 1, 2, 2, 1, 0),
    (2, 7, 5, 5, 7, 1, 1, 2, 0, 1, 1, 0),
    (1, 6, 7, 8, 8, 3, 3, 1, 1, 1, 8, 1),
    (1, 5, 6, 2, 3, 1, 3, 1, 1, 1, 1, 1),
]


def conv2d():
    words = "caseI: n h w in out kernel_height kernel_width stride pad dilation groups bias; inputs convI.x, .weight, .bias, .dy"
    with golden("conv2d", words) as file:
        for i, case in enumerate(CONVOLUTIONS):
            n, h, w, c, out, kh, kw, stride, pad, dilation, groups, bias = case
            name = "conv%d" % i
            x, weight = image(name + ".x", n, h, w, c), weights(name + ".weight", out, c // groups, kh, kw)
            b = weights(name + ".bias", out) if bias else None
            y = F.conv2d(x, weight, b, stride, pad, dilation, groups)
            backward(y, name + ".dy")
            file.add("case%d" % i, case)
            file.add(name + ".y", nhwc(y))
            file.add(name + ".dx", nhwc(x.grad))
            file.add(name + ".dweight", flat(weight.grad))
            if bias:
                file.add(name + ".dbias", flat(b.grad))


def batch_norm2d():
    words = "normI: n h w c frozen add relu; inputs normI.x, .add, .weight, .bias, .running_mean, .running_var (1.5 + the formula), .dy"
    cases = [(2, 5, 7, 6, 0, 0, 0), (2, 4, 3, 5, 0, 1, 1), (1, 6, 5, 4, 0, 0, 1), (2, 3, 4, 5, 1, 0, 1), (1, 3, 3, 3, 1, 1, 1)]
    with golden("batch_norm2d", words) as file:
        for i, case in enumerate(cases):
            n, h, w, c, frozen, add, relu = case
            name = "norm%d" % i
            x, residual = image(name + ".x", n, h, w, c), image(name + ".add", n, h, w, c)
            weight, bias = weights(name + ".weight", c), weights(name + ".bias", c)
            mean = weights(name + ".running_mean", c).detach()
            var = weights(name + ".running_var", c).detach() + 1.5
            y = F.batch_norm(x, mean, var, weight, bias, training=not frozen, momentum=0.1, eps=1e-5)
            y = y + residual if add else y
            y = torch.relu(y) if relu else y
            backward(y, name + ".dy")
            file.add("case%d" % i, case)
            file.add(name + ".y", nhwc(y))
            file.add(name + ".dx", nhwc(x.grad))
            if add:
                file.add(name + ".dadd", nhwc(residual.grad))
            if not frozen:
                file.add(name + ".dweight", flat(weight.grad))
                file.add(name + ".dbias", flat(bias.grad))
                file.add(name + ".running_mean", flat(mean))
                file.add(name + ".running_var", flat(var))


def max_pool2d():
    words = "poolI: n h w c size stride pad; input poolI.x, times 4 and rounded so that there are ties; poolI.dy"
    with golden("max_pool2d", words) as file:
        for i, case in enumerate([(2, 9, 7, 5, 3, 2, 1), (1, 7, 6, 3, 2, 2, 0), (2, 5, 5, 4, 3, 1, 1), (1, 11, 10, 1, 5, 3, 2)]):
            n, h, w, c, size, stride, pad = case
            x = (image("pool%d.x" % i, n, h, w, c, grad=False) * 4).round().requires_grad_()
            y = F.max_pool2d(x, size, stride, pad)
            backward(y, "pool%d.dy" % i)
            file.add("case%d" % i, case)
            file.add("pool%d.y" % i, nhwc(y))
            file.add("pool%d.dx" % i, nhwc(x.grad))


def decoder_conv2d():
    words = "decodeI: n h w (of a) a_channels skip_channels out bias; inputs decodeI.a, .skip, .weight, .bias, .dy"
    with golden("decoder_conv2d", words) as file:
        for i, case in enumerate([(2, 3, 4, 6, 4, 5, 0), (1, 5, 3, 8, 0, 3, 1), (1, 1, 2, 3, 5, 8, 1)]):
            n, h, w, c, skips, out, bias = case
            name = "decode%d" % i
            a, weight = image(name + ".a", n, h, w, c), weights(name + ".weight", out, c + skips, 3, 3)
            b = weights(name + ".bias", out) if bias else None
            skip = image(name + ".skip", n, 2 * h, 2 * w, skips) if skips else None
            up = F.interpolate(a, scale_factor=2, mode="nearest")
            y = F.conv2d(torch.cat([up, skip], 1) if skips else up, weight, b, padding=1)
            backward(y, name + ".dy")
            file.add("case%d" % i, case)
            file.add(name + ".y", nhwc(y))
            file.add(name + ".da", nhwc(a.grad))
            if skips:
                file.add(name + ".dskip", nhwc(skip.grad))
            file.add(name + ".dweight", flat(weight.grad))
            if bias:
                file.add(name + ".dbias", flat(b.grad))


def cross(logits, labels, weight, gamma):
    """Softmax cross-entropy, or its focal form, as the mean weighted by class."""
    kept = labels != 255
    log_p = F.log_softmax(logits, 1).gather(1, labels.where(kept, 0)[:, None])[:, 0]
    w = weight[labels.where(kept, 0)] * kept
    return (w * (1 - log_p.exp()) ** gamma * -log_p).sum() / w.sum()


def segmentation_loss():
    words = """lossI: n h w classes most focal_gamma dice_fraction; logits 3 * lossI.logits; labels: bits(seed of
        lossI.labels) % most, but 255 where bits(seed of lossI.ignored) % 5 is 0; class weights 1.5 + lossI.weights.
        Classes from most on are absent. Dice: smp.losses.DiceLoss(multiclass, from_logits)."""
    cases = [(2, 5, 7, 4, 4, 0, 0), (2, 5, 7, 4, 4, 2, 0), (1, 4, 6, 3, 3, 1.5, 0), (2, 5, 7, 4, 4, 0, 1), (2, 4, 5, 5, 3, 0, 1),
             (2, 4, 5, 5, 3, 0, 0.5), (1, 9, 5, 2, 2, 2, 0.25), (1, 3, 3, 2, 1, 0, 0.5)]
    with golden("segmentation_loss", words) as file:
        for i, case in enumerate(cases):
            n, h, w, classes, most, gamma, fraction = case
            name = "loss%d" % i
            index = torch.arange(n * h * w).numpy()
            labels = torch.from_numpy((formula.bits(formula.seed(name + ".labels"), index) % most).astype("int64"))
            labels[torch.from_numpy(formula.bits(formula.seed(name + ".ignored"), index) % 5 == 0)] = 255
            labels = labels.reshape(n, h, w)
            logits = (3 * image(name + ".logits", n, h, w, classes, grad=False)).requires_grad_()
            weight = 1.5 + weights(name + ".weights", classes).detach()
            value = (1 - fraction) * cross(logits, labels, weight, gamma)
            if gamma == 0 and fraction == 0:
                plain = F.cross_entropy(logits, labels, weight, ignore_index=255)
                assert abs(value.item() - plain.item()) < 1e-14
            if fraction > 0:
                value = value + fraction * smp.losses.DiceLoss("multiclass", from_logits=True, ignore_index=255)(logits, labels)
            value.backward()
            file.add("case%d" % i, case)
            file.add(name + ".value", value.item())
            file.add(name + ".dlogits", nhwc(logits.grad))


def optimizer_step():
    words = """257 parameters P, gradient of step s: P.gS (s = 0 … 5). sgd: rate 0.1, momentum 0.9, weight_decay 0.01.
        adamw: rate 0.01 (s + 1), betas 0.9 and 0.99, eps 1e-6, weight_decay 0.1. clipped: sgd without momentum and decay,
        rate 1, gradients clipped to norm 2 (they are 9 or so), then (kept) to norm 100."""
    steps, count = 6, 257
    with golden("optimizer_step", words) as file:
        for name in ("sgd", "adamw", "clipped", "kept"):
            w = weights(name, count).detach().requires_grad_()
            if name == "adamw":
                optimizer = torch.optim.AdamW([w], lr=0.01, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.1)
            elif name == "sgd":
                optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.01)
            else:
                optimizer = torch.optim.SGD([w], lr=1.0)
            for step in range(steps if name in ("sgd", "adamw") else 1):
                w.grad = weights("%s.g%d" % (name, step), count).detach()
                if name == "adamw":
                    optimizer.param_groups[0]["lr"] = 0.01 * (step + 1)
                if name in ("clipped", "kept"):
                    norm = torch.nn.utils.clip_grad_norm_([w], 2.0 if name == "clipped" else 100.0)
                    file.add(name + ".norm", norm.item())
                optimizer.step()
                file.add("%s.w%d" % (name, step), flat(w))


def schedule():
    words = """Learning rates of 40 steps, base 0.4. one_cycle: OneCycleLR(max_lr 0.4, pct_start 0.3, div 25, final div 1e4).
        cosine: CosineAnnealingLR(T_max 40); constant. cosine_warm, constant_warm: the first 5 steps rise as LinearLR(start_factor
        1 / 5, total_iters 4): 0.08, 0.16, … 0.4; then cosine over the 35 left, or 0.4."""
    lr = torch.optim.lr_scheduler
    makers = {
        "one_cycle": lambda o: lr.OneCycleLR(o, max_lr=0.4, total_steps=40),
        "cosine": lambda o: lr.CosineAnnealingLR(o, 40),
        "constant": lambda o: lr.ConstantLR(o, 1.0),
        "cosine_warm": lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 0.2, 1.0, 4), lr.CosineAnnealingLR(o, 35)], [5]),
        "constant_warm": lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 0.2, 1.0, 4), lr.ConstantLR(o, 1.0)], [5]),
    }
    with golden("schedule", words) as file:
        for name, make in makers.items():
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
            plan, rates = make(optimizer), []
            for _ in range(40):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                plan.step()
            file.add(name, rates)


def normalize():
    words = "1 image of 4 x 5 px, 3 bands: uint8 (bits of normalize.x) % 256; mean and std those of ImageNet, times 255"
    with golden("normalize", words) as file:
        mean, std = [0.485 * 255, 0.456 * 255, 0.406 * 255], [0.229 * 255, 0.224 * 255, 0.225 * 255]
        x = torch.from_numpy((formula.bits(formula.seed("normalize.x"), range(60)) % 256).astype("float64"))
        y = torchvision.transforms.functional.normalize(x.reshape(1, 4, 5, 3).permute(0, 3, 1, 2), mean, std)
        file.add("mean", mean)
        file.add("std", std)
        file.add("y", nhwc(y))


def main():
    torch.set_num_threads(1)
    for op in (conv2d, batch_norm2d, max_pool2d, decoder_conv2d, segmentation_loss, optimizer_step, schedule, normalize):
        op()


if __name__ == "__main__":
    main()
