"""Trains torchvision's Mask R-CNN on the same chips by the same recipe, and finds the objects of a test raster.

    python3 tests/bench/peer_train_mask.py --chips CHIPS --test test.tif --output found.geojson [--test-chips CHIPS]

CHIPS is a folder in COCO's form (`quadrat export` with format=coco): images and annotations.json. The recipe is that of
`quadrat train`: random weights, batch norm that learns, crops at a random scale, flips, quarter turns, brightness and
contrast; AdamW or SGD, one cycle; bfloat16 autocast, channels last. One line of JSON per 50 steps, and one at the end.

The objects go to a GeoJSON in the raster's coordinates, so that both sides are judged by one measure:

    quadrat accuracy --result=found.geojson --truth=test_buildings.geojson

The test raster is cut into tiles that overlap; an object belongs to the tile in whose core its box has its centre, and
duplicates are suppressed once more over the whole raster. With --test-chips, COCO's AP of those chips is printed too
(pycocotools), and their results are written beside the output, as COCO's results.
"""
import argparse
import json
import math
import os
import time

os.environ.setdefault("OMP_PROC_BIND", "true")
os.environ.setdefault("OMP_PLACES", "cores")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from PIL import Image  # noqa: E402
from pycocotools import mask as coco_mask  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402
from pycocotools.cocoeval import COCOeval  # noqa: E402
from torchvision.models.detection import MaskRCNN  # noqa: E402
from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: E402
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone  # noqa: E402
from torchvision.ops import nms  # noqa: E402

Image.MAX_IMAGE_PIXELS = None
LEAST_SHARE, LEAST_PX = 0.1, 2  # of an object that a crop must show
GEO_PIXEL, GEO_ORIGIN, GEO_KEYS = 33550, 33922, 34735
PROJECTED_CRS, GEOGRAPHIC_CRS = 3072, 2048


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--chips", required=True)
    parser.add_argument("--test", help="a GeoTIFF")
    parser.add_argument("--test-chips", help="a folder like --chips")
    parser.add_argument("--output", default="found.geojson")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--anchors", default="32,64,128,256,512", help="side for each map, px")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--optimizer", choices=["adamw", "sgd"], default="adamw")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--clip", type=float, default=0, help="most norm of the gradients; 0: any")
    parser.add_argument("--scale", default="0.75,1.35", help="of samples, least and most")
    parser.add_argument("--proposals", type=int, default=2000)
    parser.add_argument("--rpn-batch", type=int, default=256)
    parser.add_argument("--box-batch", type=int, default=512)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=0, help="s of training; 0: none")
    parser.add_argument("--compile", action="store_true", help="the backbone")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=128)
    parser.add_argument("--threshold", type=float, default=0.05, help="least score")
    parser.add_argument("--overlap-most", type=float, default=0.5, help="IoU above which the lower of two boxes is dropped")
    return parser.parse_args()


# --- chips ---

def read(path):
    """height x width x 3."""
    return np.array(Image.open(path))[:, :, :3]


class Chips:
    def __init__(self, folder):
        self.coco = COCO(os.path.join(folder, "annotations.json"))
        self.ids = sorted(self.coco.imgs)
        self.images = [read(self.path(folder, self.coco.imgs[i]["file_name"])) for i in self.ids]
        self.objects = [[a for a in self.coco.loadAnns(self.coco.getAnnIds([i])) if not a["iscrowd"]] for i in self.ids]
        self.classes = {category: k + 1 for k, category in enumerate(sorted(self.coco.cats))}

    @staticmethod
    def path(folder, name):
        direct = os.path.join(folder, name)
        return direct if os.path.exists(direct) else os.path.join(folder, "images", name)

    def statistics(self):
        pixels = np.concatenate([image.reshape(-1, 3) for image in self.images]).astype(np.float64)
        return pixels.mean(0), pixels.std(0)

    def truth(self, chip):
        """Masks (objects, height, width) and classes."""
        masks = [self.coco.annToMask(a).astype(bool) for a in self.objects[chip]]
        height, width = self.images[chip].shape[:2]
        return np.stack(masks) if masks else np.zeros((0, height, width), bool), np.array(
            [self.classes[a["category_id"]] for a in self.objects[chip]], np.int64)


class Crops:
    """Batches of crops; every chip once before any twice."""

    def __init__(self, arguments, chips):
        self.chips, self.crop, self.batch = chips, arguments.crop, arguments.batch
        self.least, self.most = map(float, arguments.scale.split(","))
        self.random = np.random.default_rng(arguments.seed)
        self.order = []
        self.mean, self.std = chips.statistics()

    def next_chip(self):
        if not self.order:
            self.order = list(self.random.permutation(len(self.chips.images)))
        return self.order.pop()

    def sample(self):
        chip = self.next_chip()
        image, (masks, classes) = self.chips.images[chip], self.chips.truth(chip)
        height, width = image.shape[:2]
        scale = math.exp(self.random.uniform(math.log(self.least), math.log(self.most)))
        side = min(round(self.crop / scale), height, width)
        row, column = self.random.integers(height - side + 1), self.random.integers(width - side + 1)
        window = np.s_[row:row + side, column:column + side]
        image = torch.from_numpy(image[window].astype(np.float32)).permute(2, 0, 1)[None]
        image = F.interpolate(image, size=(self.crop, self.crop), mode="bilinear", align_corners=False)[0]
        whole = masks.sum((1, 2)) * (self.crop / side)**2
        places = np.minimum(((np.arange(self.crop) + 0.5) * side / self.crop).astype(int), side - 1)
        masks = masks[(slice(None),) + window][:, places][:, :, places]
        image, masks = self.turn(image, torch.from_numpy(np.ascontiguousarray(masks)))
        factor, offset = self.random.uniform(0.8, 1.2), self.random.uniform(-0.2, 0.2)
        return self.normalize(image) * factor + offset, self.target(masks.numpy(), classes, whole)

    def turn(self, image, masks):
        way = self.random.integers(8)
        if way & 1:
            image, masks = image.flip(2), masks.flip(2)
        if way & 2:
            image, masks = image.flip(1), masks.flip(1)
        if way & 4:
            image, masks = image.transpose(1, 2), masks.transpose(1, 2)
        return image.contiguous(), masks.contiguous()

    @staticmethod
    def target(masks, classes, whole):
        boxes, kept = [], []
        for k, mask in enumerate(masks):
            rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
            if rows.size == 0 or mask.sum() < LEAST_SHARE * whole[k]:
                continue
            box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            if min(box[2] - box[0], box[3] - box[1]) >= LEAST_PX:
                boxes.append(box)
                kept.append(k)
        return {"boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), "labels": torch.from_numpy(classes[kept]),
                "masks": torch.from_numpy(masks[kept].astype(np.uint8))}

    def normalize(self, image):
        mean = torch.tensor(self.mean, dtype=torch.float32)[:, None, None]
        std = torch.tensor(self.std, dtype=torch.float32)[:, None, None]
        return (image - mean) / std

    def next_batch(self):
        images, targets = zip(*[self.sample() for _ in range(self.batch)])
        return list(images), list(targets)


# --- training ---

def network(arguments, class_count):
    torch.manual_seed(arguments.seed)
    backbone = resnet_fpn_backbone(backbone_name=arguments.backbone, weights=None, norm_layer=torch.nn.BatchNorm2d, trainable_layers=5)
    sizes = tuple((int(size),) for size in arguments.anchors.split(","))
    net = MaskRCNN(backbone, num_classes=class_count + 1, min_size=arguments.crop, max_size=arguments.crop, image_mean=[0.0] * 3,
                   image_std=[1.0] * 3, rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
                   rpn_pre_nms_top_n_train=arguments.proposals, rpn_post_nms_top_n_train=arguments.proposals,
                   rpn_batch_size_per_image=arguments.rpn_batch, box_batch_size_per_image=arguments.box_batch,
                   box_score_thresh=arguments.threshold, box_nms_thresh=arguments.overlap_most, box_detections_per_img=300)
    for part in (net.rpn.head, net.roi_heads.box_predictor, net.roi_heads.mask_predictor):
        part.register_forward_hook(lambda module, inputs, y: in_float32(y))  # scores and losses, whatever autocast does
    net = net.to(memory_format=torch.channels_last)
    if arguments.compile:
        net.backbone = torch.compile(net.backbone, dynamic=False)
    return net


def in_float32(y):
    return y.float() if torch.is_tensor(y) else type(y)(in_float32(part) for part in y)


def steps_of(arguments, net):
    if arguments.optimizer == "adamw":
        optimizer = torch.optim.AdamW(net.parameters(), lr=arguments.rate, weight_decay=arguments.weight_decay, fused=True)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=arguments.rate, momentum=0.9, weight_decay=arguments.weight_decay, fused=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=arguments.rate, total_steps=arguments.steps)


def train(arguments, net, crops):
    net.train()
    optimizer, schedule = steps_of(arguments, net)
    start, losses = time.monotonic(), []
    for step in range(arguments.steps):
        images, targets = crops.next_batch()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16"):
            parts = net(images, targets)
            loss = sum(parts.values())
        loss.backward()
        if arguments.clip > 0:
            torch.nn.utils.clip_grad_norm_(net.parameters(), arguments.clip)
        optimizer.step()
        schedule.step()
        losses.append([loss.item()] + [part.item() for part in parts.values()])
        elapsed = time.monotonic() - start
        if (step + 1) % 50 == 0 or step + 1 == arguments.steps:
            means = np.mean(losses[-50:], 0).round(4).tolist()
            print(json.dumps(dict(zip(["loss"] + list(parts), means), step=step + 1, seconds=round(elapsed, 1))), flush=True)
        if 0 < arguments.time_limit < elapsed:
            break
    net.eval()
    return len(losses), time.monotonic() - start


# --- inference ---

def find(arguments, net, crops, image):
    """Boxes, scores, classes and masks (floats) of one image of any size."""
    piece = crops.normalize(torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1))
    net.transform.min_size, net.transform.max_size = (min(image.shape[:2]),), max(image.shape[:2])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16"):
        found = net([piece])[0]
    return found["boxes"].float(), found["scores"].float(), found["labels"], (found["masks"][:, 0] > 0.5).numpy()


def starts(side, tile, step):
    """Where tiles begin: the last ends with the raster."""
    return sorted({min(start, max(side - tile, 0)) for start in range(0, max(side - tile, 0) + step, step)})


def cores(begins, tile, side):
    """From where to where each tile owns what has its centre there."""
    middles = [0] + [(a + tile + b) / 2 for a, b in zip(begins, begins[1:])] + [side + 1]
    return list(zip(begins, middles, middles[1:]))


def find_all(arguments, net, crops, image):
    """Objects of a raster: score, class, window and mask in it."""
    height, width = image.shape[:2]
    step, objects = arguments.tile - arguments.overlap, []
    for row, top, bottom in cores(starts(height, arguments.tile, step), arguments.tile, height):
        for column, left, right in cores(starts(width, arguments.tile, step), arguments.tile, width):
            boxes, scores, labels, masks = find(arguments, net, crops, image[row:row + arguments.tile, column:column + arguments.tile])
            boxes = boxes + torch.tensor([column, row, column, row])
            x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).T
            for k in torch.where((x >= left) & (x < right) & (y >= top) & (y < bottom))[0].tolist():
                rows, columns = np.nonzero(masks[k].any(1))[0], np.nonzero(masks[k].any(0))[0]
                if rows.size:
                    window = masks[k][rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
                    objects.append({"box": boxes[k], "score": scores[k].item(), "label": labels[k].item(),
                                    "row": row + int(rows[0]), "column": column + int(columns[0]), "mask": window})
    if not objects:
        return []
    boxes, scores = torch.stack([o["box"] for o in objects]), torch.tensor([o["score"] for o in objects])
    apart = torch.tensor([o["label"] for o in objects])[:, None] * float(height + width)
    return [objects[k] for k in nms(boxes + apart, scores, arguments.overlap_most).tolist()]


# --- polygons ---

def rings(mask):
    """Rings along the edges of pixels, closed, as (x, y); counter-clockwise on a map (row down, y up) around what is inside,
    clockwise around holes."""
    padded = np.pad(mask, 1).astype(np.int8)
    onward = {}  # corner -> corners that an edge leads to, mask on its left when y points up
    for dy, dx, ends in ((-1, 0, ((1, 0), (0, 0))), (1, 0, ((0, 1), (1, 1))), (0, -1, ((0, 0), (0, 1))), (0, 1, ((1, 1), (1, 0)))):
        shifted = np.roll(padded, (-dy, -dx), (0, 1))
        for y, x in zip(*np.nonzero((padded == 1) & (shifted == 0))):
            begin, end = [(x - 1 + ex, y - 1 + ey) for ex, ey in ends]
            onward.setdefault(begin, []).append(end)
    out = []
    while onward:
        first = next(iter(onward))
        ring, at, came = [first], first, None
        while True:
            options = onward[at]
            # where two pixels touch at a corner, turn so that they stay two
            k = 0 if came is None or len(options) == 1 else turn_choice(came, at, options)
            to = options.pop(k)
            if not options:
                del onward[at]
            if to == first and first not in onward:
                break
            came, at = at, to
            if at == first:
                break
            ring.append(at)
        out.append(straight(ring))
    return out


def turn_choice(came, at, options):
    step = (at[0] - came[0], at[1] - came[1])
    cross = [step[0] * (o[1] - at[1]) - step[1] * (o[0] - at[0]) for o in options]
    return int(np.argmin(cross))  # left on a map, into the pixel that was followed


def straight(ring):
    """Without corners on a line."""
    kept = []
    for before, corner, after in zip(ring[-1:] + ring[:-1], ring, ring[1:] + ring[:1]):
        if (corner[0] - before[0]) * (after[1] - corner[1]) != (corner[1] - before[1]) * (after[0] - corner[0]):
            kept.append(corner)
    return kept + kept[:1]


def area(ring):
    """Positive counter-clockwise, y up."""
    points = np.array(ring, np.float64)
    return -0.5 * float(np.sum(points[:-1, 0] * points[1:, 1] - points[1:, 0] * points[:-1, 1]))


def holds(ring, point):
    """Whether a point that is no corner and no middle of an edge lies within."""
    points, inside = np.array(ring, np.float64), False
    for (x0, y0), (x1, y1) in zip(points[:-1], points[1:]):
        if (y0 > point[1]) != (y1 > point[1]) and point[0] < x0 + (point[1] - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside


def polygons(mask):
    """[outer, hole, …] for each piece."""
    all_rings = rings(mask)
    pieces = [[ring] for ring in all_rings if area(ring) > 0]
    for hole in (ring for ring in all_rings if area(ring) < 0):
        (x, y), (x1, y1) = hole[0], hole[1]
        beside = ((x + x1) / 2 + 0.25 * np.sign(y1 - y), (y + y1) / 2 - 0.25 * np.sign(x1 - x))
        outside = ((x + x1) / 2 - 0.25 * np.sign(y1 - y), (y + y1) / 2 + 0.25 * np.sign(x1 - x))
        holders = [piece for piece in pieces if holds(piece[0], beside) and holds(piece[0], outside)]
        if holders:
            min(holders, key=lambda piece: area(piece[0])).append(hole)
    return pieces


def write_geojson(path, objects, tags, names):
    """In the raster's coordinates; GDAL knows the member crs."""
    (size_x, size_y), origin, keys = tags[GEO_PIXEL][:2], tags[GEO_ORIGIN], tags[GEO_KEYS]
    codes = {keys[i]: keys[i + 3] for i in range(4, len(keys), 4)}
    left, top = origin[3] - origin[0] * size_x, origin[4] + origin[1] * size_y
    features = []
    for o in objects:
        shapes = [[[[left + (x + o["column"]) * size_x, top - (y + o["row"]) * size_y] for x, y in ring] for ring in piece]
                  for piece in polygons(o["mask"])]
        features.append({"type": "Feature", "properties": {"class": names[o["label"]], "class_id": o["label"], "confidence": o["score"]},
                         "geometry": {"type": "MultiPolygon", "coordinates": shapes}})
    code = codes.get(PROJECTED_CRS, codes.get(GEOGRAPHIC_CRS))
    with open(path, "w") as stream:
        json.dump({"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::%d" % code}},
                   "features": features}, stream)


# --- chips to be judged by COCO's measure ---

def judge_chips(arguments, net, crops, folder):
    """AP50 and AP of boxes and masks; the results, as COCO's."""
    chips, results = Chips(folder), []
    category = {k: c for c, k in chips.classes.items()}
    for image_id, image in zip(chips.ids, chips.images):
        boxes, scores, labels, masks = find(arguments, net, crops, image)
        for box, score, label, mask in zip(boxes.tolist(), scores.tolist(), labels.tolist(), masks):
            runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            results.append({"image_id": image_id, "category_id": category[label], "score": score, "bbox": [
                box[0], box[1], box[2] - box[0], box[3] - box[1]], "segmentation": dict(runs, counts=runs["counts"].decode())})
    with open(os.path.splitext(arguments.output)[0] + "_chips.json", "w") as stream:
        json.dump(results, stream)
    out = {}
    for kind in ("bbox", "segm"):
        judge = COCOeval(chips.coco, chips.coco.loadRes(results) if results else COCO(), kind)
        judge.params.maxDets = [1, 10, 300]
        if results:
            judge.evaluate()
            judge.accumulate()
        precision = judge.eval["precision"] if results else np.zeros((10, 1, 1, 1, 1))
        known = precision[:, :, :, 0, -1]
        out.update({kind + "_ap": float(known[known > -1].mean()), kind + "_ap50": float(known[0][known[0] > -1].mean())})
    return out


def main():
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    chips = Chips(arguments.chips)
    crops = Crops(arguments, chips)
    net = network(arguments, len(chips.classes))
    steps, seconds = train(arguments, net, crops)
    summary = {"steps": steps, "train_seconds": round(seconds, 1), "torch": torch.__version__, "threads": arguments.threads,
               "seed": arguments.seed, "backbone": arguments.backbone, "precision": arguments.precision}
    if arguments.test:
        start = time.monotonic()
        picture = Image.open(arguments.test)
        tags, names = dict(picture.tag_v2), {k: chips.coco.cats[c]["name"] for c, k in chips.classes.items()}
        objects = find_all(arguments, net, crops, np.array(picture)[:, :, :3])
        write_geojson(arguments.output, objects, tags, names)
        summary.update(objects=len(objects), find_seconds=round(time.monotonic() - start, 1))
    if arguments.test_chips:
        summary.update(judge_chips(arguments, net, crops, arguments.test_chips))
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
