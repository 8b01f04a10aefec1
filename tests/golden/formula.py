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
    index = np.arange(int(np.prod(dims)))
    if len(dims) == 4:
        fan_in = np.float32(np.prod(dims[1:]))
        values = np.sqrt(np.float32(6) / fan_in) * signed(seed(name), index)
    elif name.endswith(".weight"):
        values = np.float32(0.75) + np.float32(0.25) * unit(seed(name), index)
    elif name.endswith(".running_var"):
        values = np.float32(0.5) + unit(seed(name), index)
    elif name.endswith(".bias"):
        size = np.float32(2.25) + np.float32(0.5) * unit(seed(name), index)
        after_add = any(part in name for part in ("bn2", "bn3", "downsample"))
        down = bits(seed("sign" + name), index) >> np.uint32(31) == 1
        values = size if after_add else np.where(down, -size, size)
    else:
        values = np.float32(0.25) * signed(seed(name), index)
    assert values.dtype == np.float32
    return values.reshape(dims)


def fill_initial(name, dims):
    """Weights to train from: convolutions as fill, the rest as PyTorch starts them."""
    if len(dims) == 4:
        return fill(name, dims)
    ones = "segmentation_head" not in name and name.endswith((".weight", ".running_var"))
    return np.full(dims, 1 if ones else 0, np.float32)


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


def places(name, how_many, count):
    return ((bits(seed(name), np.arange(how_many)).astype(np.uint64) * np.uint64(count)) >> np.uint64(32)).astype(np.int64)


def digest(name, values):
    """sum, sum of magnitudes, dot with signed(seed(name), index), in float64."""
    flat = np.asarray(values, np.float64).reshape(-1)
    vector = signed(seed(name), np.arange(flat.size)).astype(np.float64)
    return [flat.sum(), np.abs(flat).sum(), flat @ vector]
