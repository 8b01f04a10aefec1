"""Writes the seed corpora: python3 make_seeds.py. Plain Python, the same bytes every time."""
import io
import json
import os
import struct
import zipfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))


def write(target, name, data):
    folder = os.path.join(HERE, "seeds", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def safetensors(rows, notes=None):
    header, at, data = {}, 0, b""
    if notes:
        header["__metadata__"] = notes
    for name, kind, shape, raw in rows:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(raw)]}
        at, data = at + len(raw), data + raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def storage(kind, key, count, view=None):
    tail = b"" if view is None else view
    return b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"Storage\n" + text(key) + text("cpu") + \
        b"K" + bytes([count]) + tail + b"tQ"


def ints(values):
    return b"(" + b"".join(b"K" + bytes([v]) for v in values) + b"t"


def tensor(kind, key, count, offset, size, stride, view=None):
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(kind, key, count, view) + b"K" + bytes([offset]) + \
        ints(size) + ints(stride) + b"\x89ccollections\nOrderedDict\n)RtR"


def state_dict(pairs):
    body = b"".join(text(name) + value for name, value in pairs)
    return b"ccollections\nOrderedDict\n)R(" + body + b"u}" + text("_metadata") + b"}sb"


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def pickles():
    dense = tensor("Float", "0", 6, 0, [2, 3], [3, 1])
    view = tensor("Float", "0", 6, 1, [2, 2], [1, 3])
    scalar = tensor("Long", "1", 1, 0, [], [])
    plain = state_dict([("module.a", dense), ("module.b", view), ("module.n", scalar)])
    deep = b"}(" + text("model") + plain + text("epoch") + b"K\x03" + text("args") + \
        b"cargparse\nNamespace\n)\x81}" + text("lr") + b"G?\xe0\0\0\0\0\0\0sbu"
    return plain, deep


def pth():
    plain, deep = pickles()
    data = [("a/data/0", struct.pack("<6f", *range(6))), ("a/data/1", struct.pack("<q", 7)), ("a/version", b"3\n")]
    zips = {"plain": zipped([("a/data.pkl", b"\x80\x02" + plain + b".")] + data),
            "deflated": zipped([("a/data.pkl", b"\x80\x02" + deep + b".")] + data, zipfile.ZIP_DEFLATED),
            "big": zipped([("a/data.pkl", b"\x80\x02" + plain + b"."), ("a/byteorder", b"big")] + data)}
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}."
    tail = b"](" + text("0") + text("1") + b"e." + struct.pack("<q6fqq", 6, *range(6), 1, 7)
    zips["legacy"] = magic + b"\x80\x02" + deep + b"." + tail
    part = tensor("Float", "0", 6, 0, [2], [1], b"(" + text("9") + b"K\x02K\x03t")
    zips["legacy_view"] = magic + b"\x80\x02}" + text("v") + part + b"s.](" + text("0") + b"e." + \
        struct.pack("<q6f", 6, *range(6))
    return zips


def pickle_seeds():
    plain, deep = pickles()
    yield "plain", b"\x80\x02" + plain + b"."
    yield "deep", b"\x80\x02" + deep + b"."
    yield "protocol4", b"\x80\x04\x95\x20\0\0\0\0\0\0\0}\x94\x8c\x05model\x94\x8c\x02os\x8c\x06system\x93)\x81s" + b"." + b"\0" * 8
    yield "values", b"\x80\x02(NK\1M\1\1J\1\0\0\0\x8a\1\1\x8b\1\0\0\0\1G?\xf0\0\0\0\0\0\0\x88\x89C\1aB\1\0\0\0aU\1a" \
        b"\x8d\1\0\0\0\0\0\0\0a\x8e\1\0\0\0\0\0\0\0a]q\0h\0aK\1\x85K\1K\1\x86K\1K\1K\1\x87(K\1l(K\1K\1d\x8f(K\1\x90" \
        b"(K\1\x91r\1\0\0\0j\1\0\0\0021t."
    yield "v3", b"\x80\x02}X\1\0\0\0a" b"ctorch._utils\n_rebuild_tensor_v3\n((" + text("storage") + \
        b"ctorch.storage\nUntypedStorage\n" + text("0") + text("cpu") + b"K\x08tQK\0K\x02\x85K\x01\x85\x89}ctorch\nfloat32\ntRs."
    yield "parameter", b"\x80\x02}" + text("p") + b"ctorch._utils\n_rebuild_parameter\n(" + \
        tensor("Half", "0", 4, 0, [4], [1]) + b"\x88}tRs."
    yield "derived", b"\x80\x02}" + text("p") + b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n" \
        b"ctorch\nTensor\n(" + storage("Byte", "0", 4) + b"K\0K\4\x85K\1\x85\x89}tNtRs."


def coco(annotations):
    """The picture "." exists in every folder: no picture is read."""
    return json.dumps({"images": [{"id": 7, "file_name": ".", "width": 24, "height": 20}, {"id": -1, "file_name": "."}],
                       "categories": [{"id": 0, "name": "roof"}, {"id": 5}], "annotations": annotations},
                      separators=(",", ":")).encode()


def coco_annotations():
    common = {"image_id": 7, "category_id": 5}
    yield "polygons", [{**common, "segmentation": [[1, 1, 9.5, 1, 9.5, 8, 1, 8], [12, 3, 20, 3, 12, 18]]},
                       {**common, "image_id": -1, "segmentation": [[0, 0, 1]], "bbox": [2, 3, 4.5, 6]}]
    yield "runs", [{**common, "iscrowd": 0, "segmentation": {"size": [20, 24], "counts": [30, 5, 15, 5, 425]}},
                   {**common, "category_id": 0, "segmentation": {"size": [20, 24], "counts": "n05?0j<"}},
                   {**common, "iscrowd": 1, "segmentation": {"size": [20, 24], "counts": "0P?"}}]
    yield "boxes", [{**common, "bbox": [-3, 4, 10, 30]}, {**common, "bbox": [30, 4, 1, 1], "segmentation": []}]


def line(record):
    return b"%08x %s\n" % (zlib.crc32(record), record)


def plan_line(body):
    """A line of src/op/cuda/plan_text.c, of the identity "input"."""
    total = 0xCBF29CE484222325
    for byte in b"input\0" + body.encode():
        total = (total ^ byte) * 0x100000001B3 % 2**64
    return b"%016x " % total + body.encode() + b"\n"


def main():
    rows = [("a", "F32", [2, 2], struct.pack("<4f", 1, 2, 3, 4)), ("b", "BF16", [3], b"\0\x3f" * 3),
            ("c", "I64", [], struct.pack("<q", -1)), ("d", "BOOL", [2], b"\1\0"), ("e", "F16", [0, 2], b"")]
    write("safetensors", "five", safetensors(rows, {"epoch": "3"}))
    write("safetensors", "one", safetensors(rows[:1]))
    write("safetensors", "none", safetensors([]))
    for name, data in pth().items():
        write("pth", name, data)
    for name, data in pickle_seeds():
        write("pickle", name, data)
    emd = {"Framework": "arcgis.learn.models._inferencing", "ModelFile": ".\\m.safetensors", "ImageHeight": "256",
           "ExtractBands": [0, 1, 2], "Classes": [{"Value": 1, "Name": "häuser", "Color": [185, 2, 84]}],
           "BatchSize": "e.g. 8 (optional)", "accuracy": "9.5e-01", "resize_to": None, "IsMultispectral": False,
           "NormalizationStats": {"band_min_values": [0.0, 1.5, 1e-300]}}
    model = [("model.emd", json.dumps(emd, indent=2)), ("m.safetensors", safetensors(rows)), ("a/b.py", b"import os\n")]
    write("package", "stored", zipped(model))
    write("package", "deflated", zipped(model, zipfile.ZIP_DEFLATED))
    write("package", "deep", zipped([("d/" + name, data) for name, data in model]))
    emd["ModelFile"] = "m.pth"
    write("package", "pth", zipped([("model.emd", json.dumps(emd)), ("m.pth", pth()["plain"])]))
    for name, annotation in coco_annotations():
        write("coco", name, coco(annotation))
    write("document", "emd", json.dumps(emd, indent=2, ensure_ascii=False).encode())
    write("document", "small", b'[1,-2.5e3,"\\u00e4\\n",{"a":{}},[],true,false,null]')
    write("document", "mark", b"\xef\xbb\xbf" + b'{"k" : "e.g. 1", "n" : "12"}')
    opening = line(b"quadrat journal 1 job")
    write("journal", "three", opening + line(b"batch 0") + line(b"batch 1") + line(b""))
    write("journal", "cut", opening + line(b"batch 0")[:-3])
    write("journal", "opening", opening[:12])
    write("journal", "other", line(b"quadrat journal 1 another job") + line(b"x"))
    choices = plan_line("first: forward of bfloat16 8 x 128 x 128 x 64, kernel 3 x 3= 38 2:24 17:1 25:-1"), plan_line("b= 0")
    opening = plan_line("quadrat plans 1: input")
    write("plans", "two", opening + choices[0] + choices[1])
    write("plans", "cut", opening + choices[0] + choices[1][:-1])
    write("plans", "other", plan_line("quadrat plans 1: another") + choices[0])
    write("plans", "line", choices[0][17:-1])


if __name__ == "__main__":
    main()
