#!/usr/bin/env python3
"""Cases for `quadrat accuracy` with the figures of pycocotools' COCOeval: python3 coco_eval.py

Needs numpy and pycocotools (the shipped files: 2.0.11). Writes coco/*.json: {truth, results, expected}, where expected holds, by
kind (box, mask), COCOeval's twelve figures in their order and the AP of each category. And coco/polygons.json: polygons with
the runs of their masks.
"""
import contextlib
import copy
import io
import json
import os
import random
import tempfile

import numpy as np
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "coco")
SIDE = 160


def image(number, width=SIDE, height=SIDE):
    return {"id": number, "width": width, "height": height, "file_name": f"{number}.png"}


def categories(*ids):
    return [{"id": i, "name": f"class {i}"} for i in ids]


def blob(rng, x, y, radius, corners):
    """A polygon about a centre, with coordinates in tenths."""
    points = []
    for i in range(corners):
        angle = 2 * np.pi * (i + rng.random() * 0.6) / corners
        reach = radius * (0.6 + 0.4 * rng.random())
        points += [round(float(x + reach * np.cos(angle)), 1), round(float(y + reach * np.sin(angle)), 1)]
    return points


def runs_of(polygons, size=(SIDE, SIDE)):
    merged = mask_api.merge(mask_api.frPyObjects(polygons, *size))
    return {"size": list(merged["size"]), "counts": merged["counts"].decode()}


def plain_runs(runs):
    """The same as a list of numbers."""
    pixels = mask_api.decode({"size": runs["size"], "counts": runs["counts"].encode()}).ravel(order="F")
    counts, last, length = [], 0, 0
    for pixel in pixels.tolist():
        if pixel != last:
            counts.append(length)
            last, length = pixel, 0
        length += 1
    return {"size": runs["size"], "counts": counts + [length]}


def box_of(runs):
    return mask_api.toBbox({"size": runs["size"], "counts": runs["counts"].encode()}).tolist()


def area_of(runs):
    return int(mask_api.area({"size": runs["size"], "counts": runs["counts"].encode()}))


def truth_of(number, image_id, category_id, polygons, **more):
    runs = runs_of(polygons)
    return {"id": number, "image_id": image_id, "category_id": category_id, "iscrowd": 0, "area": area_of(runs),
            "bbox": box_of(runs), "segmentation": polygons, **more}


def result_of(image_id, category_id, score, polygons, box=True):
    runs = runs_of(polygons)
    found = {"image_id": image_id, "category_id": category_id, "score": score, "segmentation": runs}
    if box:
        found["bbox"] = box_of(runs)
    return found


def moved(rng, polygons, by):
    return [[round(v + rng.uniform(-by, by), 1) for v in polygon] for polygon in polygons]


def rectangle(x, y, width, height):
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def scene(seed, image_count, ids, crowd=0.0, steps=1000, box=True, most=5):
    """Random objects and what a detector might make of them: some found twice, some missed, some of another class."""
    rng = random.Random(seed)
    truths, results = [], []
    for number in range(1, image_count + 1):
        for _ in range(rng.randrange(0, most)):
            radius = rng.choice([6, 10, 16, 22, 35, 60, 75])
            polygons = [blob(rng, rng.uniform(30, 130), rng.uniform(30, 130), radius, rng.randrange(4, 8))]
            if rng.random() < 0.15:
                polygons.append(blob(rng, rng.uniform(20, 140), rng.uniform(20, 140), 8, 5))
            if area_of(runs_of(polygons)) == 0:
                continue
            category = rng.choice(ids)
            truth = truth_of(len(truths) + 1, number, category, polygons)
            if rng.random() < crowd:
                truth["iscrowd"] = 1
                truth["segmentation"] = plain_runs(runs_of(polygons))
            truths.append(truth)
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                other = moved(rng, polygons, rng.choice([0.5, 2, radius / 4]))
                guess = category if rng.random() < 0.9 else rng.choice(ids)
                if area_of(runs_of(other)) > 0:
                    results.append(result_of(number, guess, rng.randrange(1, steps) / steps, other, box))
        for _ in range(rng.randrange(0, 3)):
            results.append(result_of(number, rng.choice(ids), rng.randrange(1, steps) / steps,
                                     [rectangle(rng.randrange(0, 100), rng.randrange(0, 100), 12, 40)], box))
    rng.shuffle(results)
    return {"images": [image(i + 1) for i in range(image_count)], "categories": categories(*ids),
            "annotations": truths}, results


def boxes_only(truths, results, images=None, ids=(1,)):
    """From (image, class, box[, crowd[, area]]) and (image, class, score, box)."""
    annotations = []
    for i, (number, category, box, *rest) in enumerate(truths):
        crowd = rest[0] if rest else 0
        area = rest[1] if len(rest) > 1 else box[2] * box[3]
        annotations.append({"id": i + 1, "image_id": number, "category_id": category, "iscrowd": crowd, "area": area,
                            "bbox": box})
    found = [{"image_id": n, "category_id": c, "score": s, "bbox": b} for n, c, s, b in results]
    numbers = images or sorted({t[0] for t in truths} | {r[0] for r in results})
    return {"images": [image(n) for n in numbers], "categories": categories(*ids), "annotations": annotations}, found


def cases():
    yield "mixed", *scene(1, 14, [1, 2, 5])
    yield "crowd", *scene(2, 8, [1, 2], crowd=0.35)
    yield "ties", *scene(3, 8, [1, 2], steps=4)
    yield "masks_without_boxes", *scene(4, 5, [3, 7], crowd=0.2, box=False)
    yield "dense", *scene(5, 2, [1], steps=20, most=14)

    # No truth, no results, neither; ids out of order; images without anything.
    truth, results = scene(6, 4, [4, 2])
    truth["categories"] = categories(9, 4, 8, 2, 6)
    truth["images"] += [image(40), image(30)]
    results.append(result_of(30, 9, 0.5, [rectangle(10, 10, 20, 20)]))
    results.append(result_of(40, 2, 0.99, [rectangle(10, 10, 20, 20)]))
    truth["annotations"].append(truth_of(900, 40, 8, [rectangle(5, 5, 50, 50)]))
    truth["images"].reverse()
    yield "empty_classes", truth, results

    # More than a hundred detections of a class in an image; the right ones last, some below the limit.
    rng = random.Random(7)
    truths = [(1, 1, [10 * i, 20, 8, 30]) for i in range(12)] + [(2, 1, [5, 5, 40, 40])]
    found = [(1, 1, round(0.9 - i * 0.004, 4), [rng.randrange(0, 120), rng.randrange(60, 120), 9, 9])
             for i in range(108)]
    found += [(1, 1, round(0.6 - 0.02 * i, 3), [10 * i, 20, 8, 29]) for i in range(12)]
    found += [(2, 1, round(0.01 * i, 2), [5 + i, 5, 40, 40]) for i in range(15)]
    yield "over_a_hundred", *boxes_only(truths, found)

    # Ends of the ranges of areas, in truths and in results, matched or not.
    sides = [31, 32, 33, 95, 96, 97]
    truths = [(i, 1, [0, 0, s, s]) for i, s in enumerate(sides, 1)] + [(9, 1, [0, 0, 20, 20], 0, 1024)]
    found = [(i, 1, 0.9 - i / 100, [0, 0, s, s]) for i, s in enumerate(sides, 1)]
    found += [(i, 1, 0.95 - i / 100, [60, 60, s, s]) for i, s in enumerate(sides, 1)]
    found += [(9, 1, 0.3, [0, 0, 40, 20]), (10, 1, 0.2, [0, 0, 100, 100]), (10, 1, 0.1, [0, 0, 5, 5])]
    yield "area_ranges", *boxes_only(truths, found)

    # IoU exactly at thresholds, at 1, equal for two truths; touching boxes.
    truths, found = [], []
    for i, height in enumerate([50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100], 1):
        truths.append((i, 1, [0, 0, 100, 100]))
        found.append((i, 1, round(0.5 + i / 100, 3), [0, 0, 100, height]))
    truths += [(20, 1, [0, 0, 10, 10]), (20, 1, [0, 0, 10, 10]), (20, 1, [10, 0, 10, 10])]
    found += [(20, 1, 0.9, [0, 0, 10, 10]), (20, 1, 0.9, [0, 0, 20, 10]), (20, 1, 0.8, [10, 0, 10, 10]),
              (20, 1, 0.7, [20, 0, 10, 10])]
    yield "thresholds", *boxes_only(truths, found)

    # Crowds of boxes: several detections inside, one that has a truth as well, ignored areas beside.
    truths = [(1, 1, [0, 0, 100, 100], 1), (1, 1, [10, 10, 20, 20]), (1, 1, [70, 70, 50, 50]), (2, 1, [0, 0, 50, 50], 1),
              (2, 2, [0, 0, 50, 50])]
    found = [(1, 1, 0.9, [10, 10, 20, 20]), (1, 1, 0.8, [12, 10, 20, 20]), (1, 1, 0.7, [40, 40, 30, 30]),
             (1, 1, 0.6, [90, 0, 40, 40]), (1, 1, 0.5, [70, 70, 50, 45]), (2, 1, 0.9, [0, 0, 50, 50]),
             (2, 1, 0.4, [45, 45, 50, 50]), (2, 2, 0.9, [0, 0, 50, 50])]
    yield "crowd_boxes", *boxes_only(truths, found, ids=(1, 2))

    # Segmentations of every kind: two corners and a half, several parts that overlap, holes by runs, a polygon that hangs over.
    shapes = [[[20, 20, 30, 30, 9]], [rectangle(10, 10, 40, 40), rectangle(30, 30, 40, 40)],
              [[5.5, 7.25, 90.1, 20.9, 60.3, 88.8, 12, 70]], [[-20, -20, 100, -20, 100, 100, 30, 150]],
              [[0, 0, 10, 0, 0, 10, 10, 10]]]
    truths, found = [], []
    for i, shape in enumerate(shapes, 1):
        truths.append(truth_of(i, i, 1, shape))
        found.append(result_of(i, 1, 1 - i / 10, [[v + 1 for v in part] for part in shape] if i > 1 else
                               [rectangle(20, 20, 4, 4)]))
    ring = np.zeros((SIDE, SIDE), np.uint8, order="F")
    ring[20:80, 20:80] = 1
    ring[40:60, 40:60] = 0
    runs = mask_api.encode(ring)
    runs["counts"] = runs["counts"].decode()
    truths.append({"id": 77, "image_id": 6, "category_id": 1, "iscrowd": 0, "area": area_of(runs), "bbox": box_of(runs),
                   "segmentation": runs, "ignore": 1})
    found.append({**result_of(6, 1, 0.5, [rectangle(20, 20, 60, 60)]), "segmentation": plain_runs(runs)})
    yield "segmentations", {"images": [image(i) for i in range(1, 7)], "categories": categories(1),
                            "annotations": truths}, found


def measure(truth, results, kind):
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        with open(f"{folder}/truth.json", "w") as file:
            json.dump(truth, file)
        there = COCO(f"{folder}/truth.json")
        found = there.loadRes(copy.deepcopy(results))
        judge = COCOeval(there, found, kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    by_class = {}
    for k, category in enumerate(judge.params.catIds):
        precision = judge.eval["precision"][:, :, k, 0, 2]
        precision = precision[precision > -1]
        by_class[str(category)] = float(np.mean(precision)) if precision.size else -1.0
    return {"figures": [float(v) for v in judge.stats], "ap_by_category": by_class}


def polygons():
    """Polygons of all kinds and the runs that pycocotools makes of them."""
    rng = np.random.default_rng(3)
    for i in range(60):
        height, width = (int(v) for v in rng.integers(1, 40, 2))
        corners = int(rng.integers(3, 9))
        xy = [rng.uniform(-10, 50, (corners, 2)).round(3), rng.integers(-5, 45, (corners, 2)),
              rng.integers(0, 20, (corners, 2)) * 0.5][i % 3]
        if i % 4 == 0:
            xy[2] = xy[1]
        xy = [float(v) for v in xy.ravel()]
        counts = mask_api.frPyObjects([xy], height, width)[0]["counts"].decode()
        yield {"height": height, "width": width, "polygon": xy, "counts": counts}


def main():
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, "polygons.json"), "w") as file:
        file.write("[" + ",\n".join(json.dumps(p, separators=(",", ":")) for p in polygons()) + "]\n")
    for name, truth, results in cases():
        expected = {}
        if "bbox" in results[0] or "segmentation" in results[0]:
            expected["box"] = measure(truth, results, "bbox")
        if "segmentation" in results[0]:
            expected["mask"] = measure(truth, results, "segm")
        with open(os.path.join(FOLDER, name + ".json"), "w") as file:
            json.dump({"truth": truth, "results": results, "expected": expected}, file, separators=(",", ":"))
            file.write("\n")
        print(name, len(truth["annotations"]), len(results), {k: round(v["figures"][0], 4) for k, v in expected.items()})


if __name__ == "__main__":
    main()
