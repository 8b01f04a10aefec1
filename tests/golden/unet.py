"""Golden values of whole U-Nets, from segmentation_models_pytorch: names, logits, gradients, loss curves.

    python3 tests/golden/unet.py [--only names|nets|curves]

Weights and images come from formula.py, so the files hold results only. Logits and gradients are computed in
float64: they are what float32 approximates, so a float32 engine is not charged with PyTorch's own rounding. How far
PyTorch's float32 lies from them is written in each file. Layout of tensors: PyTorch's (N, C, H, W).
"""
import argparse
import os

import numpy as np
import segmentation_models_pytorch as smp
import torch

import formula
from golden_file import GoldenFile

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES = 256  # logits kept of a map
RAW = 4  # gradient values kept of a parameter
NETS = [  # encoder, bands, classes, images, height, width
    ("resnet18", 3, 2, 2, 64, 64),
    ("resnet18", 5, 4, 2, 96, 64),
    ("resnet34", 3, 4, 2, 64, 96),
    ("resnet34", 5, 2, 2, 64, 64),
    ("resnet50", 3, 2, 2, 64, 64),
    ("resnet50", 5, 4, 2, 64, 64),
]
CLASS_WEIGHTS = [1.0, 2.5, 0.5, 1.25]
STEPS = 50


def network(encoder, bands, classes, fill=formula.fill):
    net = smp.Unet(encoder, encoder_weights=None, in_channels=bands, classes=classes)
    state = net.state_dict()
    for name, tensor in state.items():
        if tensor.ndim > 0:
            state[name] = torch.from_numpy(fill(name, tuple(tensor.shape)))
    net.load_state_dict(state)
    return net


def batch(name, images, height, width, bands, classes):
    x, labels = formula.image(name, images, height, width, bands, classes)
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels).long()


def loss_of(logits, labels, classes):
    weight = torch.tensor(CLASS_WEIGHTS[:classes], dtype=logits.dtype)
    return torch.nn.functional.cross_entropy(logits, labels, weight, ignore_index=255)


def run(spec, dtype):
    """Everything a golden file of a network holds, as a dict of arrays."""
    encoder, bands, classes, images, height, width = spec
    net = network(encoder, bands, classes).to(dtype)
    x, labels = batch("unet", images, height, width, bands, classes)
    x = x.to(dtype)
    out = {}
    net.eval()
    with torch.no_grad():
        logits = net(x)
        out["eval.loss"] = loss_of(logits, labels, classes)
        out["eval.logits"] = logits
    net.train()
    logits = net(x)
    loss = loss_of(logits, labels, classes)
    loss.backward()
    out["train.loss"] = loss
    out["train.logits"] = logits
    for name, parameter in net.named_parameters():
        out["grad." + name] = parameter.grad
    for name, buffer in net.named_buffers():
        if buffer.ndim > 0:
            out["stat." + name] = buffer
    return {key: value.detach().double().numpy() for key, value in out.items()}


def distance(a, b, largest=0):
    """Largest difference over largest value. A gradient that is 0 but for rounding (a shift before a batch norm) is
    measured against 1e-5 of the network's largest."""
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-5 * largest)


def write_net(spec):
    encoder, bands, classes, images, height, width = spec
    exact, single = run(spec, torch.float64), run(spec, torch.float32)
    grads = [key for key in exact if key.startswith("grad.")]
    largest = max(np.abs(exact[key]).max() for key in grads)
    apart = {key: distance(single[key], exact[key], largest if key in grads else 0) for key in exact}
    worst = max(grads, key=apart.get)
    name = "unet_%s_%d_%d.txt" % (encoder, bands, classes)
    words = """
        smp.Unet(%s, in_channels=%d, classes=%d), %d images of %d x %d px; made by tests/golden/unet.py, torch %s.
        PyTorch's own float32 is apart from these float64 values by (largest difference / largest value):
        eval.logits %.2g, train.logits %.2g, gradients %.2g (median), %.2g (%s)
        NAME.digest: sum, sum of magnitudes, dot with formula signed(NAME); NAME.sample: at formula places(NAME);
        NAME.most: the largest magnitude; grad.most: of all gradients. grad.* of train.loss, stat.*: running statistics after it.
        """ % (encoder, bands, classes, images, height, width, torch.__version__, apart["eval.logits"],
               apart["train.logits"], np.median([apart[g] for g in grads]), apart[worst], worst)
    print(name, words)
    with GoldenFile(os.path.join(HERE, name), words) as file:
        file.add("spec", [bands, classes, images, height, width])
        file.add("class_weights", CLASS_WEIGHTS[:classes])
        file.add("grad.most", largest)
        for key, values in exact.items():
            if values.ndim == 0:
                file.add(key, values)
                continue
            how_many = SAMPLES if key.endswith("logits") else RAW
            file.add(key + ".digest", formula.digest(key, values))
            file.add(key + ".most", np.abs(values).max())
            file.add(key + ".sample", values.reshape(-1)[formula.places(key, how_many, values.size)])


def write_names(encoder):
    with open(os.path.join(HERE, "unet_%s.names" % encoder), "w") as stream:
        for name, tensor in smp.Unet(encoder, encoder_weights=None, classes=2).state_dict().items():
            stream.write("%s %s\n" % (name, " ".join(map(str, tensor.shape))) if tensor.ndim else name + "\n")


def optimizer_of(kind, net):
    if kind == "sgd":
        optimizer = torch.optim.SGD(net.parameters(), lr=0.003, momentum=0.9, weight_decay=1e-4)
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.01)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-4, total_steps=STEPS)


def momentum_of(group):
    return group["momentum"] if "momentum" in group else group["betas"][0]


def curve(kind, dtype=torch.float32, bf16=False, channels_last=False):
    net = network("resnet18", 3, 2, formula.fill_initial).to(dtype).train()
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
    optimizer, schedule = optimizer_of(kind, net)
    losses, rates, momenta = [], [], []
    for step in range(STEPS):
        x, labels = batch("batch%d" % step, 2, 128, 128, 3, 2)
        x = x.to(dtype)
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(momentum_of(optimizer.param_groups[0]))
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = net(x)
        loss = loss_of(logits if dtype == torch.float64 else logits.float(), labels, 2)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return np.array(losses), np.array(rates), np.array(momenta)


def write_curves():
    words = """
        %d training steps of smp.Unet(resnet18, 3 bands, 2 classes) from the formula's weights; batch i is the formula's
        image "batchI": 2 of 128 x 128 px (smaller ones leave a batch norm so few values that float32 and float64 part
        by more than 1 %%). Loss: cross-entropy, class weights 1 and 2.5. sgd: rate 0.003, momentum 0.9, weight decay
        1e-4. adamw: one cycle to 1e-4, beta1 against it from 0.95 to 0.85 and back, beta2 0.999, weight decay 0.01. The
        first weights: formula_fill_initial.
        Made by tests/golden/unet.py, torch %s.
        """ % (STEPS, torch.__version__)
    with GoldenFile(os.path.join(HERE, "unet_curves.txt"), words) as file:
        for kind in ("sgd", "adamw"):
            single, rates, momenta = curve(kind)
            double, _, _ = curve(kind, dtype=torch.float64)
            half, _, _ = curve(kind, bf16=True, channels_last=True)
            file.add(kind + ".rates", rates)
            file.add(kind + ".momenta", momenta)
            file.add(kind + ".float64", double)
            file.add(kind + ".float32", single)
            file.add(kind + ".bfloat16", half)
            print(kind, "losses", single[[0, 1, 2, 5, 10, 20, 30, 40, 49]].round(4))
            print(kind, "float32 / float64 - 1: at most", np.abs(single / double - 1).max())
            print(kind, "bfloat16 / float32 - 1: at most", np.abs(half / single - 1).max(),
                  "mean", np.abs(half / single - 1).mean())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["names", "nets", "curves"])
    only = parser.parse_args().only
    torch.set_num_threads(1)
    if only in (None, "names"):
        for encoder in ("resnet18", "resnet34", "resnet50"):
            write_names(encoder)
    if only in (None, "nets"):
        for spec in NETS:
            write_net(spec)
    if only in (None, "curves"):
        write_curves()


if __name__ == "__main__":
    main()
