"""Golden values of the ops of Mask R-CNN, from torchvision.

    python3 tests/golden/ops_detection.py

Inputs are formula.array(NAME, …) with the names given here, images channels last (N, H, W, C), and what is in the
files: boxes, labels, masks. Boxes are x1, y1, x2, y2. What decides (matching, NMS, top-k, boxes, RoIAlign) is computed
in float32, as torchvision does; losses and their gradients in float64. Cases are drawn so that no decision hangs on
rounding: scores and overlaps that a choice depends on lie apart by more than float32 can blur.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torchvision.models.detection import _utils, roi_heads, rpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign, boxes as box_ops, roi_align

import formula
from golden_file import GoldenFile

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES, RATIOS = ((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5


def golden(name, words):
    return GoldenFile(os.path.join(HERE, "op_%s.txt" % name), words + "\nMade by tests/golden/ops_detection.py, torch %s, "
                      "torchvision %s." % (torch.__version__, torchvision.__version__))


def array(name, *dims, dtype=torch.float32):
    return torch.from_numpy(formula.array(name, *dims)).to(dtype)


def nchw(x):
    return x.permute(0, 3, 1, 2).contiguous()


def nhwc(x):
    return x.detach().permute(0, 2, 3, 1).numpy()


def boxes_of(name, count, height, width, least, most):
    """Boxes about the image; some stand out over its edge."""
    u = torch.from_numpy(formula.unit(formula.seed(name), np.arange(4 * count)).reshape(count, 4))
    size = least * (most / least) ** u[:, 2:]
    size[:, 1] = size[:, 0] * (0.5 + 1.5 * u[:, 3])
    centre = u[:, :2] * torch.tensor([width, height], dtype=torch.float32)
    return torch.cat([centre - size / 2, centre + size / 2], 1)


def inside(boxes, height, width):
    return box_ops.clip_boxes_to_image(boxes, (height, width))


def apart(values, what, least=1e-6):
    """No two of these float32 values can change places by rounding."""
    values = np.sort(np.asarray(values, np.float64).reshape(-1))
    gaps = np.diff(values)
    assert gaps.size == 0 or gaps.min() > least * max(np.abs(values).max(), 1e-30), (what, gaps.min())


def overlaps_clear(boxes, groups, limit, what):
    """No overlap within a group is so near the limit of NMS that rounding decides."""
    for group in groups.unique():
        mine = boxes[groups == group].double()
        away = (box_ops.box_iou(mine, mine) - limit).abs()
        assert away.numel() == 0 or away.min() > 1e-6, (what, away.min())


def drawn(attempt_at, limit=2000):
    """The first attempt, 0, 1, …, whose decisions do not hang on rounding, and what it made."""
    for attempt in range(limit):
        try:
            return attempt, attempt_at(attempt)
        except AssertionError as close:
            last = close
    raise last


def conv_transpose2d():
    words = """caseI: n h w in out kernel stride pad output_pad bias; inputs upI.x, .weight (in, out, kh, kw), .bias, .dy; results:
        images channels last, weights as PyTorch has them; float64"""
    cases = [(2, 3, 4, 5, 6, 2, 2, 0, 0, 1), (1, 7, 7, 8, 8, 2, 2, 0, 0, 1), (2, 4, 3, 3, 4, 3, 2, 1, 1, 0),
             (1, 1, 1, 4, 2, 2, 2, 0, 0, 1)]
    with golden("conv_transpose2d", words) as file:
        for i, case in enumerate(cases):
            n, h, w, c, out, kernel, stride, pad, more, bias = case
            name = "up%d" % i
            x = nchw(array(name + ".x", n, h, w, c, dtype=torch.float64)).requires_grad_()
            weight = array(name + ".weight", c, out, kernel, kernel, dtype=torch.float64).requires_grad_()
            b = array(name + ".bias", out, dtype=torch.float64).requires_grad_() if bias else None
            y = F.conv_transpose2d(x, weight, b, stride, pad, more)
            y.backward(nchw(array(name + ".dy", n, y.shape[2], y.shape[3], out, dtype=torch.float64)))
            file.add("case%d" % i, case)
            file.add(name + ".y", nhwc(y))
            file.add(name + ".dx", nhwc(x.grad))
            file.add(name + ".dweight", weight.grad.numpy())
            if bias:
                file.add(name + ".dbias", b.grad.numpy())


ROIS = [  # image, box in units of a map cell, for maps of 13 x 17
    (0, 2.0, 3.0, 9.0, 8.0), (1, 0.3, 0.7, 16.2, 12.9), (0, -3.5, -2.5, 4.0, 4.0), (1, 12.0, 9.0, 21.0, 17.0),
    (0, 5.1, 5.2, 5.3, 5.5), (1, -40.0, -60.0, 90.0, 70.0), (0, 30.0, 30.0, 44.0, 40.0), (1, -9.0, -9.0, -2.0, -1.5),
    (0, 16.0, 12.0, 16.0, 12.0), (1, 7.0, 4.0, 6.0, 3.0), (0, -0.9, -0.9, 0.1, 0.1), (1, 15.5, 11.5, 17.9, 13.9),
]


def roi_align_cases(file):
    cases = [(2, 13, 17, 4, 7, 2, 0.25, 1), (2, 13, 17, 1, 5, 0, 1.0, 1), (2, 13, 17, 3, 14, 2, 0.0625, 4)]
    for i, case in enumerate(cases):
        n, h, w, c, bins, samples, scale, step = case
        name = "roi%d" % i
        rois = torch.tensor(ROIS[::step], dtype=torch.float32)
        rois[:, 1:] /= scale
        x = nchw(array(name + ".x", n, h, w, c)).requires_grad_()
        y = roi_align(x, rois, bins, scale, samples if samples > 0 else -1, aligned=False)
        y.backward(nchw(array(name + ".dy", len(rois), bins, bins, c)))
        file.add("case%d" % i, list(case[:7]) + [len(rois)])
        file.add(name + ".rois", rois)
        file.add(name + ".y", nhwc(y))
        file.add(name + ".dx", nhwc(x.grad))


def level_cases(file):
    """MultiScaleRoIAlign on four maps: sides about 112, 224, 448 are where the level changes."""
    height, width, c, bins = 96, 128, 2, 7
    sides = [3.0, 20.0, 60.0, 111.9, 112.0, 112.1, 223.9, 224.0, 224.1, 447.9, 448.0, 460.0, 1000.0]
    places = formula.unit(formula.seed("levels.place"), np.arange(2 * len(sides))).reshape(-1, 2) * 40
    boxes = torch.tensor([[x, y, x + side * stretch, y + side / stretch] for i, (side, (x, y)) in enumerate(zip(sides, places))
                          for stretch in [[1.0, 1.5][i % 2] if side not in (112.0, 224.0, 448.0) else 1.0]], dtype=torch.float32)
    boxes[[4, 7, 10]] = torch.tensor([[8.0, 4, 120, 116], [0, 0, 224, 224], [-16, 0, 432, 448]])
    halves = [boxes[0::2], boxes[1::2]]
    maps = {str(k): nchw(array("levels.x%d" % k, 2, height >> (k + 2), width >> (k + 2), c)).requires_grad_() for k in range(4)}
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], bins, 2)
    y = pool(maps, halves, [(height, width)] * 2)
    y.backward(nchw(array("levels.dy", len(boxes), bins, bins, c)))
    file.add("levels.case", [2, height, width, c, bins, 2, len(halves[0]), len(halves[1])])
    file.add("levels.boxes", torch.cat(halves))
    file.add("levels.level", pool.map_levels(halves))
    file.add("levels.y", nhwc(y))
    for k in range(4):
        file.add("levels.dx%d" % k, nhwc(maps[str(k)].grad))


def roi_align_file():
    words = """caseI: n h w c bins sampling_ratio (0: adaptive, torchvision's -1) scale rois; inputs roiI.x, .dy (rois, bins, bins,
        c); roiI.rois: image x1 y1 x2 y2; aligned False. levels: MultiScaleRoIAlign; levels.case: n image_height image_width c
        bins sampling_ratio boxes_of_image_0 boxes_of_image_1; inputs levels.xK (n, height / 2^(K+2), width / 2^(K+2), c),
        levels.dy; levels.level: the map of each box, 0 to 3. float32"""
    with golden("roi_align", words) as file:
        roi_align_cases(file)
        level_cases(file)


def anchors_of(height, width, maps):
    images = ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    return AnchorGenerator(SIZES, RATIOS)(images, [torch.zeros(1, 1, h, w) for h, w in maps])[0]


def maps_of(height, width):
    """Sizes of the five maps, as ResNet and FPN make them."""
    maps, h, w = [], (height + 1) // 2, (width + 1) // 2
    for _ in range(5):
        h, w = (h + 1) // 2, (w + 1) // 2
        maps.append((h, w))
    return maps


def anchor_cases(file):
    generator = AnchorGenerator(SIZES, RATIOS)
    file.add("cells", torch.stack([generator.generate_anchors(s, r) for s, r in zip(SIZES, RATIOS)]))
    other = AnchorGenerator(((8, 12),), ((0.3, 1.0, 3.7),))
    file.add("cells_other", other.generate_anchors((8, 12), (0.3, 1.0, 3.7)))
    for i, (height, width) in enumerate([(64, 96), (800, 1088), (160, 96), (100, 70)]):
        anchors = anchors_of(height, width, maps_of(height, width))
        places = np.arange(len(anchors)) if i == 0 else np.unique(
            np.concatenate([formula.places("anchors%d" % i, 60, len(anchors)), [0, len(anchors) - 1]]))
        file.add("anchors%d.case" % i, [height, width, len(anchors)])
        file.add("anchors%d.maps" % i, maps_of(height, width))
        file.add("anchors%d.places" % i, places)
        file.add("anchors%d.boxes" % i, anchors[torch.from_numpy(places)])


def coder_cases(file):
    for i, weights in enumerate([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]):
        coder = _utils.BoxCoder(weights)
        boxes = boxes_of("coder%d.boxes" % i, 24, 90, 120, 4, 90)
        truths = boxes_of("coder%d.truths" % i, 24, 90, 120, 4, 90)
        deltas = array("coder%d.deltas" % i, 24, 8) * torch.tensor([8.0, 8, 40, 40] * 2) * (weights[0] / 10)
        deltas[3] = torch.tensor([0.0, 0, 1e4, -1e4, 50, -50, 4.135166556742356 * weights[2], 4.2 * weights[3]])
        file.add("coder%d.weights" % i, weights)
        file.add("coder%d.boxes" % i, boxes)
        file.add("coder%d.deltas" % i, deltas)
        file.add("coder%d.decoded" % i, coder.decode(deltas, [boxes]).reshape(24, 8))
        file.add("coder%d.clipped" % i, inside(coder.decode(deltas, [boxes]), 90, 120).reshape(24, 8))
        file.add("coder%d.truths" % i, truths)
        file.add("coder%d.encoded" % i, coder.encode([truths], [boxes])[0])


def nms_cases(file):
    for i, (count, groups, threshold) in enumerate([(60, 1, 0.5), (60, 3, 0.7), (1200, 4, 0.5), (1, 1, 0.5), (0, 1, 0.5)]):
        boxes = boxes_of("nms%d.boxes" % i, count, 80, 80, 8, 40)
        scores = torch.from_numpy(formula.unit(formula.seed("nms%d.scores" % i), np.arange(count)).astype(np.float32))
        group = torch.from_numpy((formula.bits(formula.seed("nms%d.groups" % i), np.arange(count)) % groups).astype(np.int64))
        if i < 2:
            scores = (scores * 16).round() / 16  # ties: the first of equal scores comes first
        if i == 0:
            boxes[7], boxes[21] = boxes[5], torch.tensor([20.0, 20, 20, 20])  # twins; no area
            boxes[30], boxes[31] = torch.tensor([0.0, 0, 2, 1]), torch.tensor([0.0, 0, 1, 1])  # overlap exactly the threshold
            boxes[22] = boxes[21]  # 0 / 0 does not suppress
        kept = box_ops.batched_nms(boxes, scores, group, threshold)
        if count > 1000:
            apart(scores[kept], "scores of nms%d" % i, 1e-9)
            overlaps_clear(boxes, group, threshold, "nms%d" % i)
        file.add("nms%d.case" % i, [count, groups, threshold, len(kept)])
        file.add("nms%d.boxes" % i, boxes)
        file.add("nms%d.scores" % i, scores)
        file.add("nms%d.groups" % i, group)
        file.add("nms%d.kept" % i, kept)


def region_network(pre, post, threshold=0.7, least_score=0.0):
    return rpn.RegionProposalNetwork(AnchorGenerator(SIZES, RATIOS), None, 0.7, 0.3, 256, 0.5, {"training": pre, "testing": pre},
                                     {"training": post, "testing": post}, threshold, least_score).eval()


def proposal_case(file, i, case, sizes):
    n, height, width, pre, post, threshold, least_score, wild = case
    maps = maps_of(height, width)
    counts = [3 * h * w for h, w in maps]
    network = region_network(int(pre), int(post), threshold, least_score)

    def attempt_at(attempt):
        name = "prop%d.%d" % (i, attempt)
        logits = [2 * nchw(array("%s.logits%d" % (name, k), n, h, w, 3)) for k, (h, w) in enumerate(maps)]
        deltas = [wild * nchw(array("%s.deltas%d" % (name, k), n, h, w, 12)) for k, (h, w) in enumerate(maps)]
        flat_logits, flat_deltas = rpn.concat_box_prediction_layers(logits, deltas)
        boxes = network.box_coder.decode(flat_deltas, [anchors_of(height, width, maps)] * n).reshape(n, -1, 4)
        check_proposals(network, boxes, flat_logits.reshape(n, -1), sizes, counts, "prop%d" % i)
        return network.filter_proposals(boxes, flat_logits, sizes, counts)

    attempt, (chosen, scores) = drawn(attempt_at)
    file.add("prop%d.case" % i, case)
    file.add("prop%d.attempt" % i, attempt)
    file.add("prop%d.sizes" % i, sizes)
    for image in range(n):
        file.add("prop%d.boxes%d" % (i, image), chosen[image])
        file.add("prop%d.scores%d" % (i, image), scores[image])


def check_proposals(network, boxes, logits, sizes, counts, what):
    """What filter_proposals chose does not hang on rounding."""
    best = network._get_top_n_idx(logits, counts)
    level = torch.repeat_interleave(torch.arange(5), torch.tensor(counts))
    for image, size in enumerate(sizes):
        for one in logits[image].split(counts):
            apart(one, what + " logits", 1e-9)
        mine = box_ops.clip_boxes_to_image(boxes[image, best[image]], size)
        scores = logits[image, best[image]].sigmoid()
        apart(scores, what + " scores", 2e-7)
        side = torch.minimum(mine[:, 2] - mine[:, 0], mine[:, 3] - mine[:, 1])
        assert (side - network.min_size).abs().min() > 1e-5, what
        assert (scores - network.score_thresh).abs().min() > 1e-6, what
        overlaps_clear(mine[side > network.min_size], level[best[image]][side > network.min_size], network.nms_thresh, what)


def proposals():
    words = """cells: the anchors of a cell, of sizes 32 to 512 by ratios 0.5 1 2; cells_other: sizes 8 12 by ratios 0.3 1 3.7 (ratio
        before size). anchorsI.case: image_height image_width (as batched) anchors; .maps: height width of the five maps;
        .boxes: the anchors at .places. coderI: boxes, deltas (two codes a row), decoded, clipped to 90 rows x 120 columns,
        and encoded: of truths. nmsI.case: boxes groups threshold kept. propI.case: n image_height image_width (as batched)
        pre_nms post_nms nms_threshold least_score size_of_deltas; .sizes: height width of each image in it; logits 2 *
        NAME.logitsK (n, h, w, 3), deltas size_of_deltas * NAME.deltasK (n, h, w, 12) of map K, NAME = propI.A with A of
        propI.attempt; results .boxesN, .scoresN of image N. float32"""
    with golden("proposals", words) as file:
        anchor_cases(file)
        coder_cases(file)
        nms_cases(file)
        cases = [((2, 64, 96, 60, 40, 0.7, 0.0, 0.5), [(60, 90), (64, 71)]), ((1, 128, 128, 1000, 1000, 0.7, 0.0, 0.5), [(128, 128)]),
                 ((1, 64, 64, 1000, 300, 0.7, 0.0, 2.0), [(64, 64)]), ((1, 64, 64, 50, 20, 0.3, 0.0, 0.5), [(50, 64)])]
        for i, (case, sizes) in enumerate(cases):
            proposal_case(file, i, case, sizes)


def heads(classes, score=0.05, nms=0.5, limit=100):
    return roi_heads.RoIHeads(None, None, torch.nn.Identity(), 0.5, 0.5, 512, 0.25, None, score, nms, limit).eval()


def detection_case(file, i, case, counts, sizes):
    classes, score, nms, limit, wild = case
    rows = sum(counts)
    head = heads(classes, score, nms, int(limit))

    def attempt_at(attempt):
        name = "det%d.%d" % (i, attempt)
        logits = 4 * array(name + ".logits", rows, classes)
        deltas = wild * array(name + ".deltas", rows, 4 * classes)
        proposals = [inside(boxes_of("%s.proposals%d" % (name, k), count, h, w, 6, 60), h, w)
                     for k, (count, (h, w)) in enumerate(zip(counts, sizes))]
        boxes, scores, labels = head.postprocess_detections(logits, deltas, proposals, sizes)
        decoded = head.box_coder.decode(deltas, proposals)
        check_detections(head, decoded.split(counts), logits.softmax(-1).split(counts), sizes, "det%d" % i)
        return proposals, boxes, scores, labels

    attempt, (proposals, boxes, scores, labels) = drawn(attempt_at)
    name = "det%d" % i
    file.add(name + ".case", list(case) + [len(counts)])
    file.add(name + ".attempt", attempt)
    file.add(name + ".counts", counts)
    file.add(name + ".sizes", sizes)
    file.add(name + ".proposals", torch.cat(proposals))
    for k in range(len(counts)):
        file.add("%s.boxes%d" % (name, k), boxes[k])
        file.add("%s.scores%d" % (name, k), scores[k])
        file.add("%s.labels%d" % (name, k), labels[k])


def check_detections(head, boxes, scores, sizes, what):
    for mine, of_class, size in zip(boxes, scores, sizes):
        kept = of_class[:, 1:] > head.score_thresh
        if of_class.numel() == 0 or not kept.any():
            continue
        assert (of_class[:, 1:] - head.score_thresh).abs().min() > 1e-6, what
        apart(of_class[:, 1:][kept], what + " scores", 1e-6)
        clipped = box_ops.clip_boxes_to_image(mine, size)[:, 1:][kept]
        overlaps_clear(clipped, torch.arange(1, of_class.shape[1]).expand_as(kept)[kept], head.nms_thresh, what)


def detections():
    words = """detI.case: classes (with background) score_threshold nms_threshold most_per_image size_of_deltas images; .counts:
        proposals of each image; .sizes: height width of each image; .proposals: of all images; class logits 4 * NAME.logits
        (proposals, classes), deltas size_of_deltas * NAME.deltas (proposals, 4 classes), NAME = detI.A with A of
        detI.attempt; results .boxesN, .scoresN, .labelsN of image N, best first: torchvision's postprocess_detections, coder
        weights 10 10 5 5. float32"""
    with golden("detections", words) as file:
        detection_case(file, 0, (4, 0.05, 0.5, 100, 1.0), [40, 24], [(80, 100), (64, 90)])
        detection_case(file, 1, (3, 0.05, 0.5, 12, 2.0), [50], [(80, 100)])
        detection_case(file, 2, (3, 0.05, 0.5, 100, 1.0), [700], [(400, 400)])  # more than 1000 candidates: NMS by group
        detection_case(file, 3, (2, 0.05, 0.3, 100, 8.0), [30, 0, 10], [(64, 64), (64, 64), (48, 64)])
        detection_case(file, 4, (3, 0.9999, 0.5, 100, 1.0), [20], [(64, 64)])


def sample(sampler, labels, seed):
    torch.manual_seed(seed)
    positive, negative = sampler(labels)
    return [torch.where(p)[0] for p in positive], [torch.where(q)[0] for q in negative]


def matcher_cases(file):
    quality = torch.tensor([[0.1, 0.5, 0.7, 0.69999, 0.3, 0.29999, 0.0, 0.2, 0.25, 0.25],
                            [0.1, 0.5, 0.2, 0.9, 0.3, 0.1, 0.0, 0.0, 0.2, 0.2],
                            [0.0, 0.0, 0.0, 0.0, 0.1, 0.1, 0.0, 0.25, 0.25, 0.25]])
    ties = torch.tensor([[0.2, 0.6, 0.6, 0.1], [0.2, 0.6, 0.1, 0.6], [0.2, 0.0, 0.1, 0.2], [0.0, 0.0, 0.0, 0.0]])
    cases = [(quality, 0.7, 0.3, 1), (quality, 0.5, 0.5, 0), (ties, 0.7, 0.3, 1), (ties, 0.5, 0.5, 0)]
    for i, (matrix, high, low, rescue) in enumerate(cases):
        file.add("matcher%d.case" % i, [high, low, rescue])
        file.add("matcher%d.quality" % i, matrix)
        file.add("matcher%d.matches" % i, _utils.Matcher(high, low, bool(rescue))(matrix.clone()))


def rpn_loss():
    words = """matcherI.case: high low low_quality_rescue; .quality: (truths, boxes); .matches: truth of each box, -1 below low, -2
        between. rpn: images of 64 x 64 px; rpn.truth_counts; rpn.truths: boxes of all images; rpn.labels (n, anchors): 1, 0,
        -1; rpn.matches: the truth of a positive, else -1, or -2 for label -1. Sampled anchors: rpn.positives, .negatives,
        places in n x anchors (map, row, column, anchor within an image), at most rpn.most_sampled an image; rpn.encoded:
        targets of the positives. Logits 2 * rpn.logits (n, anchors), deltas rpn.deltas (n, anchors, 4); rpn.objectness_loss,
        rpn.box_loss and the gradients of their sum: rpn.dlogits, and rpn.ddeltas of the positives (0 elsewhere). Matching in
        float32, losses in float64"""
    with golden("rpn_loss", words) as file:
        matcher_cases(file)
        network = region_network(100, 100)
        network.fg_bg_sampler = _utils.BalancedPositiveNegativeSampler(24, 0.5)
        one = anchors_of(64, 64, maps_of(64, 64))
        truths = [torch.tensor([[3.0, 5, 30.5, 33], [14, 14, 46, 46], [40.5, 8.25, 61, 21.5], [1, 50, 5, 54]]), torch.zeros(0, 4),
                  torch.tensor([[10.0, 10, 55, 58], [10, 10, 55, 58]])]
        anchors = [one] * 3
        labels, matched = network.assign_targets_to_anchors(anchors, [{"boxes": t} for t in truths])
        matches = [network.proposal_matcher(box_ops.box_iou(t, one)) if len(t) else torch.full((len(one),), -1) for t in truths]
        for t in truths:
            quality = box_ops.box_iou(t.double(), one.double())
            assert quality.numel() == 0 or min((quality - limit).abs().min() for limit in (0.3, 0.7)) > 1e-6
        positives, negatives = sample(network.fg_bg_sampler, labels, 3)
        offset = [k * len(one) for k in range(3)]
        positive = torch.cat([p + o for p, o in zip(positives, offset)])
        negative = torch.cat([q + o for q, o in zip(negatives, offset)])
        encoded = torch.cat(network.box_coder.encode(matched, anchors))
        logits = (2 * array("rpn.logits", 3, len(one), dtype=torch.float64)).requires_grad_()
        deltas = array("rpn.deltas", 3, len(one), 4, dtype=torch.float64).requires_grad_()
        torch.manual_seed(3)
        objectness, box = network.compute_loss(logits, deltas.reshape(-1, 4), [l.double() for l in labels],
                                               list(encoded.double().reshape(3, -1, 4)))
        (objectness + box).backward()
        assert torch.equal(torch.where(logits.grad.reshape(-1) != 0)[0], torch.cat([positive, negative]).sort()[0])
        file.add("rpn.truth_counts", [len(t) for t in truths])
        file.add("rpn.most_sampled", 24)
        file.add("rpn.truths", torch.cat(truths))
        file.add("rpn.labels", torch.stack(labels))
        file.add("rpn.matches", torch.stack(matches))
        file.add("rpn.positives", positive)
        file.add("rpn.negatives", negative)
        file.add("rpn.encoded", encoded[positive])
        file.add("rpn.objectness_loss", objectness.item())
        file.add("rpn.box_loss", box.item())
        file.add("rpn.dlogits", logits.grad)
        file.add("rpn.ddeltas", deltas.grad.reshape(-1, 4)[positive])


def roi_sample():
    words = """sample: 3 images, most_sampled and positive_fraction in sample.case; .truth_counts, .truths, .truth_labels;
        .proposal_counts, .proposals (before truths are appended). Of proposals and then truths of each image: .matches
        (truth, 0 where there is none: torchvision clamps), .labels. .chosen_counts, .chosen: the places sampled in each
        image's list, ascending; .boxes, .chosen_labels, .chosen_matches, .targets (coder weights 10 10 5 5) of those.
        Matching and targets in float32"""
    with golden("roi_sample", words) as file:
        head = heads(4)
        head.fg_bg_sampler = _utils.BalancedPositiveNegativeSampler(32, 0.25)
        truths = [boxes_of("sample.truths0", 5, 80, 100, 12, 50), torch.zeros(0, 4), boxes_of("sample.truths2", 2, 80, 100, 20, 50)]
        classes = [torch.tensor([1, 3, 2, 1, 2]), torch.zeros(0, dtype=torch.int64), torch.tensor([3, 1])]
        proposals = []
        for k, count in enumerate([60, 40, 12]):
            noise = 6 * array("sample.noise%d" % k, count, 4)
            near = truths[k][torch.arange(count) % len(truths[k])] + noise if len(truths[k]) else None
            wild = boxes_of("sample.wild%d" % k, count, 80, 100, 10, 60)
            proposals.append(wild if near is None else torch.where((torch.arange(count) % 3 == 0)[:, None], near, wild))
        whole = head.add_gt_proposals(proposals, truths)
        matches, labels = head.assign_targets_to_proposals(whole, truths, classes)
        for one, t in zip(whole, truths):
            quality = box_ops.box_iou(t.double(), one.double())
            assert quality.numel() == 0 or (quality - 0.5).abs().min() > 1e-6
        torch.manual_seed(5)
        chosen = head.subsample(labels)
        boxes = [p[c] for p, c in zip(whole, chosen)]
        matched = [m[c] for m, c in zip(matches, chosen)]
        padded = [t if len(t) else torch.zeros(1, 4) for t in truths]
        targets = head.box_coder.encode([t[m] for t, m in zip(padded, matched)], boxes)
        file.add("sample.case", [3, 32, 0.25])
        file.add("sample.truth_counts", [len(t) for t in truths])
        file.add("sample.truths", torch.cat(truths))
        file.add("sample.truth_labels", torch.cat(classes))
        file.add("sample.proposal_counts", [len(p) for p in proposals])
        file.add("sample.proposals", torch.cat(proposals))
        file.add("sample.matches", torch.cat(matches))
        file.add("sample.labels", torch.cat(labels))
        file.add("sample.chosen_counts", [len(c) for c in chosen])
        file.add("sample.chosen", torch.cat(chosen))
        file.add("sample.boxes", torch.cat(boxes))
        file.add("sample.chosen_labels", torch.cat([l[c] for l, c in zip(labels, chosen)]))
        file.add("sample.chosen_matches", torch.cat(matched))
        # of a box without a truth torchvision's target is log(0), which no loss reads
        chosen_labels = torch.cat([l[c] for l, c in zip(labels, chosen)])
        file.add("sample.targets", torch.where(chosen_labels[:, None] > 0, torch.cat(targets), 0))


def box_loss():
    words = """boxlossI.case: rows classes; .labels; logits 2 * boxlossI.logits (rows, classes), deltas boxlossI.deltas (rows, 4
        classes), targets boxlossI.targets (rows, 4); .class_loss, .box_loss, gradients of their sum .dlogits, .ddeltas.
        float64"""
    with golden("box_loss", words) as file:
        for i, (rows, classes, foreground) in enumerate([(24, 4, 1), (16, 2, 1), (9, 3, 0)]):
            name = "boxloss%d" % i
            drawn_labels = formula.bits(formula.seed(name + ".labels"), np.arange(rows)) % (classes + 2)
            labels = torch.from_numpy(np.where(drawn_labels < classes, drawn_labels, 0).astype(np.int64)) * foreground
            logits = (2 * array(name + ".logits", rows, classes, dtype=torch.float64)).requires_grad_()
            deltas = array(name + ".deltas", rows, 4 * classes, dtype=torch.float64).requires_grad_()
            targets = array(name + ".targets", rows, 4, dtype=torch.float64)
            of_class, of_box = roi_heads.fastrcnn_loss(logits, deltas, [labels], [targets])
            (of_class + of_box).backward()
            file.add(name + ".case", [rows, classes])
            file.add(name + ".labels", labels)
            file.add(name + ".class_loss", of_class.item())
            file.add(name + ".box_loss", of_box.item())
            file.add(name + ".dlogits", logits.grad)
            file.add(name + ".ddeltas", deltas.grad)


def shapes(height, width):
    """A rectangle, a disc, a ring in two pieces, and nothing: uint8 masks."""
    y, x = np.mgrid[0:height, 0:width]
    ring = np.hypot(y - 30, x - 40)
    return torch.from_numpy(np.stack([(y >= 5) & (y < 25) & (x >= 8) & (x < 40), np.hypot(y - 22, x - 15) < 11,
                                      (ring > 8) & (ring < 14) & (x != 40), np.zeros((height, width), bool)]).astype(np.uint8))


def mask_target_cases(file):
    masks = shapes(48, 60)
    boxes = torch.tensor([[8.0, 5, 40, 25], [3.3, 10.7, 27.1, 34.2], [25.5, 15.25, 55.75, 44.5], [-4, -3, 61, 50],
                          [10.2, 12.1, 10.9, 12.8],
                          [20, 20, 50, 47], [0, 0, 5, 5], [30.5, 21, 58, 40]])
    match = torch.tensor([0, 1, 2, 2, 1, 3, 0, 2])
    file.add("target.masks", masks)
    file.add("target.boxes", boxes)
    file.add("target.matches", match)
    file.add("target.values28", roi_heads.project_masks_on_boxes(masks, boxes, match, 28))
    file.add("target.values7", roi_heads.project_masks_on_boxes(masks, boxes, match, 7))


def mask_loss_cases(file):
    masks = shapes(48, 60)
    for i, (side, classes, rows) in enumerate([(14, 3, 5), (28, 2, 1), (14, 3, 0)]):
        name = "maskloss%d" % i
        boxes = boxes_of(name + ".boxes", rows, 48, 60, 10, 40)
        match = torch.arange(rows) % 3
        truth_labels = torch.tensor([1, 2, 1, 2]).clamp(max=classes - 1)
        logits = (3 * nchw(array(name + ".logits", rows, side, side, classes, dtype=torch.float64))).requires_grad_()
        targets = roi_heads.project_masks_on_boxes(masks, boxes, match, side).double()
        labels = truth_labels[match]
        loss = F.binary_cross_entropy_with_logits(logits[torch.arange(rows), labels], targets) if rows else logits.sum() * 0
        check = roi_heads.maskrcnn_loss(logits.float(), [boxes], [masks], [truth_labels], [match])
        assert abs(check.item() - loss.item()) < 1e-5
        loss.backward()
        file.add(name + ".case", [rows, side, classes])
        file.add(name + ".boxes", boxes)
        file.add(name + ".matches", match)
        file.add(name + ".labels", labels)
        file.add(name + ".value", loss.item())
        file.add(name + ".dlogits", nhwc(logits.grad))
        if rows:
            chosen = roi_heads.maskrcnn_inference(logits.detach().float(), [labels])[0][:, 0]
            file.add(name + ".chosen", chosen)


def paste_cases(file):
    boxes = torch.tensor([[5.0, 6, 33, 34], [-7.3, -4.9, 12.6, 9.1], [30.2, 20.7, 58.9, 52.4], [14.1, 9.3, 14.6, 9.9],
                          [-30, 10, 80, 30.5],
                          [44, 33, 49.5, 39.5], [-0.6, -0.6, 3.4, 2.2], [20.5, 3.5, 44.5, 27.5],
                          [-20.25, -3, 53.5, 42.4], [-20.25, -3, 53.5, 43.4]])  # 128, 129 px: PyTorch has two kernels
    probabilities = torch.from_numpy(formula.unit(formula.seed("paste.masks"), np.arange(len(boxes) * 784))).reshape(-1, 1, 28, 28)
    pasted = roi_heads.paste_masks_in_image(probabilities, boxes, (40, 50))[:, 0]
    assert (pasted - 0.5).abs().min() > 1e-6  # a threshold gives one answer
    file.add("paste.boxes", boxes)
    file.add("paste.values", pasted)


def mask_head():
    words = """target.masks (truths, 48, 60) 0 or 1; .boxes, .matches (truth of a box); .values28, .values7: project_masks_on_boxes.
        masklossI.case: rows side classes; .boxes, .matches: of target.masks; .labels; logits 3 * masklossI.logits (rows,
        side, side, classes); .value; .dlogits (0 but for the label's channel); .chosen: sigmoid of the label's channel.
        paste.boxes; probabilities: formula unit of paste.masks (boxes, 28, 28); paste.values (boxes, 40, 50):
        paste_masks_in_image. Loss and gradient in float64, the rest in float32"""
    with golden("mask_head", words) as file:
        mask_target_cases(file)
        mask_loss_cases(file)
        paste_cases(file)


RESIZED = [  # sides of the resized image, its bands, images
    ((120, 150), 3, [(75, 100), (90, 61)]),
    ((40, 64), 3, [(75, 100), (33, 40)]),
    ((48, 90), 5, [(31, 31), (20, 55)]),
]


def resize():
    words = """torchvision's GeneralizedRCNNTransform.resize. sides.C: least and most; image.C.I: height, width, bands of formula
        resize.C.I; size.C.I: of the result; y.C.I: every fifth row and column of it (rows, columns, bands).
        sizes: height and width, and what they become for 800 and 1333"""
    torch.set_num_threads(2)  # one thread goes through another kernel where there are three bands
    with golden("resize", words) as file:
        for i, ((least, most), bands, images) in enumerate(RESIZED):
            transform = GeneralizedRCNNTransform([least], most, [0.0] * bands, [1.0] * bands)
            transform.eval()
            file.add("sides.%d" % i, [least, most])
            for k, (height, width) in enumerate(images):
                x = array("resize.%d.%d" % (i, k), height, width, bands).permute(2, 0, 1).contiguous()
                y, _ = transform.resize(x)
                file.add("image.%d.%d" % (i, k), [height, width, bands])
                file.add("size.%d.%d" % (i, k), y.shape[1:])
                file.add("y.%d.%d" % (i, k), y.permute(1, 2, 0).numpy()[::5, ::5])
        transform = GeneralizedRCNNTransform([800], 1333, [0.0], [1.0])
        transform.eval()
        sizes = [(480, 640), (427, 640), (333, 500), (500, 375), (256, 256), (300, 1000), (97, 97), (161, 200), (385, 385), (1024, 1024)]
        results = [transform.resize(torch.zeros(1, *size))[0].shape[1:] for size in sizes]
        file.add("sizes", [[*size, *result] for size, result in zip(sizes, results)])


def main():
    torch.set_num_threads(1)
    for op in (conv_transpose2d, roi_align_file, proposals, detections, rpn_loss, roi_sample, box_loss, mask_head, resize):
        op()


if __name__ == "__main__":
    main()
