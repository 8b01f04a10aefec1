"""PyTorch's side of the benchmark: U-Net inference or training steps, in PyTorch's fastest way that was found.

    python3 tests/bench/peer_unet.py --mode infer --encoder resnet34 --size 512 --precision bf16 --threads 2

Tries its variants once (eager, traced, compiled; each with several batches for inference), prints one line of JSON
that says which is the fastest, and waits. For every line "go" on stdin it runs one round of about --seconds and prints a
line of JSON with the seconds per iteration, so that a driver can alternate between it and another program. "end" or the
end of stdin ends it. What is timed:

  infer   normalised float32 images, channels last, to logits; no gradients, batch norm in eval mode
  train   zero_grad, forward, cross-entropy, backward, AdamW, on one batch that stays the same

How fairly: peer.py.
"""
import argparse

import peer


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["infer", "train"], required=True)
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--size", type=int, default=512, help="side of an image, px")
    parser.add_argument("--batch", type=int, default=0, help="images; 0: the best of some (infer), 8 or on a GPU 32 (train)")
    parser.add_argument("--bands", type=int, default=3)
    parser.add_argument("--classes", type=int, default=2)
    peer.add_options(parser)
    return parser.parse_args()


ARGUMENTS = parse()
peer.prepare(ARGUMENTS)

import torch  # noqa: E402
import torch._inductor.config  # noqa: E402
try:
    from segmentation_models_pytorch import Unet  # noqa: E402
except ImportError:
    from unet_net import Unet  # noqa: E402


def network(arguments):
    torch.manual_seed(1)
    net = Unet(arguments.encoder, encoder_weights=None, in_channels=arguments.bands, classes=arguments.classes)
    return net.to(peer.place(arguments), memory_format=torch.channels_last)


def images(arguments, batch):
    torch.manual_seed(2)
    x = torch.randn(batch, arguments.bands, arguments.size, arguments.size, device=peer.place(arguments))
    return x.contiguous(memory_format=torch.channels_last)


class Infer:
    """One call: one batch of images to logits."""

    variants = {"cpu": ["eager", "traced", "compiled"], "gpu": ["eager", "compiled", "compiled graphs"]}
    casts = [True, False]
    batches = {"cpu": [1, 2, 4, 8], "gpu": [16, 32, 64]}

    def __init__(self, arguments, variant, batch, autocast):
        self.x = images(arguments, batch)
        self.place = peer.place(arguments)
        self.half = arguments.precision == "bf16"
        self.autocast = self.half and autocast
        net = network(arguments).eval()
        if self.half and not autocast:
            net = net.to(torch.bfloat16)
        example = self.x.to(torch.bfloat16) if self.half and not autocast else self.x
        with torch.inference_mode(variant == "eager"), torch.no_grad(), self.cast():
            if variant == "traced":
                net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, example, check_trace=False)))
            elif variant.startswith("compiled"):
                torch._inductor.config.freezing = True
                net = torch.compile(net, dynamic=False, mode="reduce-overhead" if "graphs" in variant else None)
        self.net = net

    def cast(self):
        return torch.autocast(self.place, torch.bfloat16, enabled=self.autocast, cache_enabled=False)

    def __call__(self):
        with torch.inference_mode(), self.cast():
            x = self.x.to(torch.bfloat16) if self.half and not self.autocast else self.x
            return self.net(x)


class Train:
    """One call: one step."""

    variants = {"cpu": ["eager", "compiled"], "gpu": ["eager", "compiled", "compiled graphs"]}
    casts = [True]
    batches = {"cpu": [8], "gpu": [32]}

    def __init__(self, arguments, variant, batch, autocast):
        self.x = images(arguments, batch)
        self.place = peer.place(arguments)
        self.labels = torch.randint(0, arguments.classes, (batch, arguments.size, arguments.size), device=self.place)
        self.half = arguments.precision == "bf16"
        self.net = network(arguments).train()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-4, fused=True)
        if variant.startswith("compiled"):
            torch._inductor.config.freezing = False
            self.net = torch.compile(self.net, dynamic=False, mode="reduce-overhead" if "graphs" in variant else None)

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.place, torch.bfloat16, enabled=self.half):
            logits = self.net(self.x)
        loss = torch.nn.functional.cross_entropy(logits.float(), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss


def main():
    peer.settle(ARGUMENTS)
    best, tried = peer.choose(ARGUMENTS, Infer if ARGUMENTS.mode == "infer" else Train)
    peer.serve(ARGUMENTS, best, encoder=ARGUMENTS.encoder, version="torch " + torch.__version__,
               variant=best["variant"] + ", channels last", tried=tried)


if __name__ == "__main__":
    main()
