"""Trains the same U-Net in PyTorch on the same chips by the same recipe, and reports the IoU of a class.

    python3 tests/bench/peer_train.py --chips CHIPS --test test.tif --truth truth.tif

CHIPS is a folder of Classified_Tiles (`quadrat export` with format=classified_tiles): images/*.tif, 3 bands uint8, and
labels/*.tif of the same names. truth.tif holds the class of each pixel of test.tif, for example

    ogr2ogr -t_srs EPSG:3857 labels.geojson test_buildings.geojson
    gdal_rasterize -burn 1 -ot Byte -tr … -te … labels.geojson truth.tif

The recipe is that of `quadrat train`: crops at a random scale, flips, quarter turns, brightness and contrast,
cross-entropy, AdamW with weight decay 0.01, one cycle; bfloat16 autocast, channels last. One line of JSON per 50
steps, and one at the end.
"""
import argparse
import glob
import json
import math
import os
import time

os.environ.setdefault("OMP_PROC_BIND", "true")
os.environ.setdefault("OMP_PLACES", "cores")

import numpy as np  # noqa: E402
import segmentation_models_pytorch as smp  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from PIL import Image  # noqa: E402


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--chips", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--truth", required=True)
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--class-value", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1044)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=0, help="s; 0: none")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=128)
    return parser.parse_args()


def read(path):
    """height x width x bands."""
    pixels = np.array(Image.open(path))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def chips(folder):
    paths = sorted(glob.glob(os.path.join(folder, "images", "*.tif")))
    if not paths:
        raise SystemExit("%s holds no images/*.tif" % folder)
    images = [read(path)[:, :, :3] for path in paths]
    labels = [read(os.path.join(folder, "labels", os.path.basename(path)))[:, :, 0] for path in paths]
    return images, labels


class Crops:
    """Batches of crops; every chip once before any twice."""

    def __init__(self, arguments, images, labels):
        self.images, self.labels, self.crop, self.batch = images, labels, arguments.crop, arguments.batch
        self.value = arguments.class_value
        self.random = np.random.default_rng(arguments.seed)
        self.order = []
        pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(np.float64)
        self.mean, self.std = pixels.mean(0), pixels.std(0)

    def next_chip(self):
        if not self.order:
            self.order = list(self.random.permutation(len(self.images)))
        return self.order.pop()

    def sample(self):
        chip = self.next_chip()
        height, width = self.labels[chip].shape
        scale = math.exp(self.random.uniform(math.log(0.75), math.log(1.35)))
        side = min(round(self.crop / scale), height, width)
        row, column = self.random.integers(height - side + 1), self.random.integers(width - side + 1)
        window = np.s_[row:row + side, column:column + side]
        image = torch.from_numpy(self.images[chip][window].astype(np.float32)).permute(2, 0, 1)[None]
        label = torch.from_numpy((self.labels[chip][window] == self.value).astype(np.float32))[None, None]
        image = F.interpolate(image, size=(self.crop, self.crop), mode="bilinear", align_corners=False)[0]
        label = F.interpolate(label, size=(self.crop, self.crop), mode="nearest-exact")[0, 0].long()
        way = self.random.integers(8)
        if way & 1:
            image, label = image.flip(2), label.flip(1)
        if way & 2:
            image, label = image.flip(1), label.flip(0)
        if way & 4:
            image, label = image.transpose(1, 2), label.T
        factor, offset = self.random.uniform(0.8, 1.2), self.random.uniform(-0.2, 0.2)
        return self.normalize(image) * factor + offset, label

    def normalize(self, image):
        mean = torch.tensor(self.mean, dtype=torch.float32)[:, None, None]
        std = torch.tensor(self.std, dtype=torch.float32)[:, None, None]
        return (image - mean) / std

    def next_batch(self):
        images, labels = zip(*[self.sample() for _ in range(self.batch)])
        return torch.stack(images).contiguous(memory_format=torch.channels_last), torch.stack(labels)


def train(arguments, crops):
    torch.manual_seed(arguments.seed)
    net = smp.Unet(arguments.encoder, encoder_weights=None, in_channels=3, classes=2)
    net = net.to(memory_format=torch.channels_last).train()
    run = torch.compile(net, dynamic=False) if arguments.compile else net
    optimizer = torch.optim.AdamW(net.parameters(), lr=arguments.rate, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=arguments.rate, total_steps=arguments.steps)
    start = time.monotonic()
    losses = []
    for step in range(arguments.steps):
        images, labels = crops.next_batch()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            logits = run(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        elapsed = time.monotonic() - start
        if (step + 1) % 50 == 0:
            print(json.dumps({"step": step + 1, "loss": sum(losses[-50:]) / 50, "seconds": round(elapsed, 1)}), flush=True)
        if 0 < arguments.time_limit < elapsed:
            break
    return net.eval(), len(losses), time.monotonic() - start


def starts(side, tile, step):
    """Where tiles begin: the last ends with the raster."""
    return sorted({min(start, max(side - tile, 0)) for start in range(0, side, step)})


def predict(arguments, net, crops, image):
    """Tiles overlap; each pixel takes the class of the tile in which it lies farthest from the edge."""
    height, width = image.shape[:2]
    tile, step = arguments.tile, arguments.tile - arguments.overlap
    along = torch.minimum(torch.arange(tile), torch.arange(tile).flip(0)) + 1
    depth = torch.minimum(along[:, None], along[None, :]).numpy()
    classes, best = np.zeros((height, width), np.uint8), np.zeros((height, width), np.int64)
    whole = crops.normalize(torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1))
    for row in starts(height, tile, step):
        for column in starts(width, tile, step):
            piece = whole[:, row:row + tile, column:column + tile]
            rows, columns = piece.shape[1:]
            piece = F.pad(piece, (0, tile - columns, 0, tile - rows))[None].contiguous(memory_format=torch.channels_last)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                answer = net(piece)[0].float().argmax(0).numpy()[:rows, :columns]
            window = np.s_[row:row + rows, column:column + columns]
            deeper = depth[:rows, :columns] > best[window]
            classes[window] = np.where(deeper, answer, classes[window])
            best[window] = np.maximum(best[window], depth[:rows, :columns])
    return classes


def main():
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    crops = Crops(arguments, *chips(arguments.chips))
    net, steps, seconds = train(arguments, crops)
    predicted = predict(arguments, net, crops, read(arguments.test)[:, :, :3]) == 1
    truth = read(arguments.truth)[:, :, 0] == arguments.class_value
    both, either = int((predicted & truth).sum()), int((predicted | truth).sum())
    print(json.dumps({"iou": both / either if either else None, "steps": steps, "train_seconds": round(seconds, 1),
                      "true_positive": both, "false_positive": int((predicted & ~truth).sum()),
                      "false_negative": int((~predicted & truth).sum()), "torch": torch.__version__,
                      "threads": arguments.threads, "seed": arguments.seed, "compiled": arguments.compile}))


if __name__ == "__main__":
    main()
