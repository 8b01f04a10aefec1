"""Numbers that Python and C make alike, bit for bit: tests/support/formula.h in Python."""
import numpy as np


def seed(name):
    value = 0x811C9DC5
    for letter in name.encode():
        value = ((value ^ letter) * 0x01000193) & 0xFFFFFFFF
    return value


def bits(of_seed, index):
    value = (np.asarray(index, np.uint32) * np.uint32(0x9E3779B1)) + np.uint32(of_seed)
    value = (value ^ (value >> np.uint32(16))) * np.uint32(0x7FEB352D)
    value = (value ^ (value >> np.uint32(15))) * np.uint32(0x846CA68B)
    return value ^ (value >> np.uint32(16))


def unit(of_seed, index):
    return (bits(of_seed, index) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def signed(of_seed, index):
    return np.float32(2) * unit(of_seed, index) - np.float32(1)


def array(name, *dims):
    """signed() of the name's seed, in C order."""
    return signed(seed(name), np.arange(int(np.prod(dims)))).reshape(dims)


def fill(name, dims):
    """Weights of the golden networks: see formula_fill in formula.h for why biases are large."""
    return fill_named(name, name, dims)


def fill_named(name, drawn, dims):
    """Of a tensor called name, with the numbers of another."""
    index = np.arange(int(np.prod(dims)))
    if len(dims) == 4:
        fan_in = np.float32(np.prod(dims[1:]))
        values = np.sqrt(np.float32(6) / fan_in) * signed(seed(drawn), index)
    elif name.endswith(".weight"):
        values = np.float32(0.75) + np.float32(0.25) * unit(seed(drawn), index)
    elif name.endswith(".running_var"):
        values = np.float32(0.5) + unit(seed(drawn), index)
    elif name.endswith(".bias"):
        size = np.float32(2.25) + np.float32(0.5) * unit(seed(drawn), index)
        after_add = any(part in name for part in ("bn2", "bn3", "downsample"))
        down = bits(seed("sign" + drawn), index) >> np.uint32(31) == 1
        values = size if after_add else np.where(down, -size, size)
    else:
        values = np.float32(0.25) * signed(seed(drawn), index)
    assert values.dtype == np.float32
    return values.reshape(dims)


def fill_initial(name, dims):
    """Weights to train from: convolutions as fill, the rest as PyTorch starts them."""
    if len(dims) == 4:
        return fill(name, dims)
    ones = "segmentation_head" not in name and name.endswith((".weight", ".running_var"))
    return np.full(dims, 1 if ones else 0, np.float32)


def fill_detector(name, dims, seed_text=""):
    """Weights of the golden detectors before their scales: see formula_fill_detector in formula.h."""
    drawn = name + seed_text
    index = np.arange(int(np.prod(dims)))
    if len(dims) == 4 or len(dims) == 2:
        fan_in = np.float32(np.prod(dims[1:]))
        return (np.sqrt(np.float32(6) / fan_in) * signed(seed(drawn), index)).reshape(dims)
    if ".body." not in name:
        return (np.float32(0.25) * signed(seed(drawn), index)).reshape(dims)
    return fill_named(name, drawn, dims)


def image(name, images, height, width, bands, class_count):
    """x (N, H, W, bands) float32 and labels (N, H, W) uint8."""
    noise, colour = seed(name), seed("colour")
    i = np.arange(images * height * width)
    row, picture = i // width % height, i // width // height
    rows, columns = (height + 7) // 8, (width + 7) // 8
    place = (picture * rows + row // 8) * columns + i % width // 8
    label = bits(noise ^ seed("block"), place) % np.uint32(class_count)
    band = np.arange(bands)
    hue = signed(colour, label[:, None] * 64 + band[None, :])
    grain = signed(noise, i[:, None] * bands + band[None, :])
    x = (hue + grain).reshape(images, height, width, bands)
    ignored = bits(noise ^ seed("ignored"), i) % np.uint32(16) == 0
    labels = np.where(ignored, 255, label).astype(np.uint8)
    return x, labels.reshape(images, height, width)


def scene(name, images, height, width, bands, objects, class_count):
    """Objects on a ground, for detectors: x (N, H, W, bands) float32 0 to 1, and per image boxes (objects, 4) float32, labels (objects)
    int64 from 1, masks (objects, H, W) uint8. Rectangles and ellipses, in turn; a later one lies on an earlier one."""
    grain, colour = seed(name), seed("colour")
    row, column = np.mgrid[0:height, 0:width]
    label_map = np.zeros((images, height, width), np.int64)
    boxes, labels, masks = [], [], []
    for i in range(images):
        draw = bits(grain ^ seed("objects"), np.arange(objects * 5) + i * objects * 5).reshape(objects, 5).astype(np.int64)
        h, w = 12 + draw[:, 0] % (height // 2 - 12), 12 + draw[:, 1] % (width // 2 - 12)
        y, x = draw[:, 2] % (height - h + 1), draw[:, 3] % (width - w + 1)
        label = 1 + draw[:, 4] % (class_count - 1)
        mask = np.zeros((objects, height, width), np.uint8)
        for k in range(objects):
            inside = (row >= y[k]) & (row < y[k] + h[k]) & (column >= x[k]) & (column < x[k] + w[k])
            if k % 2 == 1:  # twice the distances from the middle, in whole numbers
                across, down = 2 * (column - x[k]) + 1 - w[k], 2 * (row - y[k]) + 1 - h[k]
                inside &= across * across * h[k] * h[k] + down * down * w[k] * w[k] <= w[k] * w[k] * h[k] * h[k]
            mask[k][inside] = 1
            label_map[i][inside] = label[k]
        boxes.append(np.stack([x, y, x + w, y + h], 1).astype(np.float32))
        labels.append(label)
        masks.append(mask)
    band, i = np.arange(bands), np.arange(images * height * width)
    hue = signed(colour, label_map.reshape(-1)[:, None] * 64 + band[None, :])
    noise = signed(grain, i[:, None] * bands + band[None, :])
    values = np.float32(0.5) + np.float32(0.25) * hue + np.float32(0.125) * noise
    return values.reshape(images, height, width, bands), boxes, labels, masks


def places(name, how_many, count):
    return ((bits(seed(name), np.arange(how_many)).astype(np.uint64) * np.uint64(count)) >> np.uint64(32)).astype(np.int64)


def digest(name, values):
    """sum, sum of magnitudes, dot with signed(seed(name), index), in float64."""
    flat = np.asarray(values, np.float64).reshape(-1)
    vector = signed(seed(name), np.arange(flat.size)).astype(np.float64)
    return [flat.sum(), np.abs(flat).sum(), flat @ vector]
