#!/usr/bin/env python3
"""Writes the first inputs of the fuzz targets into fuzz/seeds: small files of every kind. Needs ImageMagick."""

import collections
import io
import json
import pickle
import struct
import subprocess
import sys
import types
import zipfile
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"


def write(name, data):
    path = SEEDS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def safetensors(tensors, metadata=None):
    """`tensors`: name -> (dtype, shape, bytes)."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


# A stand-in for the parts of torch that its pickles name.
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")


class FloatStorage:
    pass


def _rebuild_tensor_v2(*arguments):
    return arguments


FloatStorage.__module__, _rebuild_tensor_v2.__module__ = "torch", "torch._utils"
torch.FloatStorage, torch._utils, utils._rebuild_tensor_v2 = FloatStorage, utils, _rebuild_tensor_v2
sys.modules.update({"torch": torch, "torch._utils": utils})


class Tensor:
    def __init__(self, key, shape):
        self.key, self.shape = key, shape

    def __reduce__(self):
        count = 1
        for side in self.shape:
            count *= side
        stride, strides = 1, []
        for side in reversed(self.shape):
            strides.insert(0, stride)
            stride *= side
        storage = Storage(self.key, count)
        return _rebuild_tensor_v2, (storage, 0, self.shape, tuple(strides), False, collections.OrderedDict())


class Storage:
    def __init__(self, key, count):
        self.key, self.count = key, count


class Pickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, what):
        if isinstance(what, Storage):
            end = (None,) if self.legacy else ()
            return ("storage", FloatStorage, what.key, "cpu", what.count, *end)
        return None


def pickled(what, legacy=False):
    file = io.BytesIO()
    pickler = Pickler(file, protocol=2)
    pickler.legacy = legacy
    pickler.dump(what)
    return file.getvalue()


def zipped(what, storages):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(what))
        archive.writestr("archive/byteorder", "little")
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def weights():
    state = collections.OrderedDict([("0.weight", Tensor("0", (2, 3))), ("0.bias", Tensor("1", (2,)))])
    data = {"0": floats(*range(6)), "1": floats(1, -1)}
    write("weights/state.pth", zipped(state, data))
    write("weights/nested.pth", zipped({"epoch": 3, "state_dict": state, "note": "text"}, data))
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps(system, 2)]
    parts += [pickled(state, legacy=True), pickle.dumps(["0", "1"], 2)]
    parts += [struct.pack("<Q", len(values) // 4) + values for values in data.values()]
    write("weights/legacy.pth", b"".join(parts))
    write("weights/plain.safetensors", safetensors({"conv1_1.weight": ("F32", [1, 3, 1, 1], floats(1, 2, 3))}))
    half = struct.pack("<2e", 1, 2)
    write("weights/half.safetensors", safetensors({"a": ("F16", [2], half), "b": ("BF16", [1], b"\x80\x3f")}, {"k": "v"}))
    style = {"mean": ("F32", [2], floats(0, 1)), "deviation": ("F32", [2], floats(1, 1))}
    write("weights/adain.style", safetensors(style, {"encoder": "0" * 64, "architecture": "adain_style"}))


def pictures():
    sources = {"rgb": ["-size", "7x5", "gradient:red-blue"], "alpha": ["-size", "6x5", "gradient:red-none"]}
    profile = ["-set", "colorspace", "sRGB"]
    kinds = {
        "rgb8.png": ("rgb", ["-depth", "8"]), "rgb16.png": ("rgb", ["-depth", "16"]),
        "grey.png": ("rgb", ["-colorspace", "gray"]), "palette.png": ("rgb", ["-colors", "4", "-type", "palette"]),
        "alpha.png": ("alpha", []), "interlaced.png": ("rgb", ["-interlace", "PNG"]),
        "baseline.jpg": ("rgb", profile), "progressive.jpg": ("rgb", ["-interlace", "JPEG"]),
        "cmyk.jpg": ("rgb", ["-colorspace", "CMYK"]), "grey.jpg": ("rgb", ["-colorspace", "gray"]),
        "lossy.webp": ("rgb", []), "lossless.webp": ("alpha", ["-define", "webp:lossless=true"]),
        "plain.tif": ("rgb", ["-compress", "none"]), "lzw.tif": ("alpha", ["-compress", "lzw"]),
        "deflate16.tif": ("rgb", ["-compress", "zip", "-depth", "16"]), "jpeg.tif": ("rgb", ["-compress", "jpeg"]),
        "lab.tif": ("rgb", ["-colorspace", "Lab", "-compress", "none"]), "big.tif": ("rgb", ["-compress", "none"]),
        "palette.tif": ("rgb", ["-colors", "4", "-type", "palette", "-compress", "none"]),
        "bilevel.tif": ("rgb", ["-monochrome", "-compress", "group4"]),
    }
    (SEEDS / "picture").mkdir(parents=True, exist_ok=True)
    for name, (source, options) in kinds.items():
        target = str(SEEDS / "picture" / name)
        target = f"TIFF64:{target}" if name == "big.tif" else target
        subprocess.run(["convert", *sources[source], *options, target], check=True)
    baseline = (SEEDS / "picture/baseline.jpg").read_bytes()
    exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation=\"6\"/></x:xmpmeta>"
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in (exif, xmp))
    write("picture/metadata.jpg", baseline[:2] + segments + baseline[2:])
    fixtures = Path(__file__).parent.parent / "tests/fixtures"
    write("picture/small.jxl", (fixtures / "small.jxl").read_bytes())
    write("picture/inks.jpg", (fixtures / "cmyk.jpg").read_bytes())


def texts():
    for number, text in enumerate(["a.jpg:0.7", "sky.png=a.jpg", "relu4_1:0.5", "cosine:20", "step:10:0.5", "a=b=c:1e3"]):
        write(f"options/{number}", text.encode())
    tensor = safetensors({"a": ("F32", [2], floats(1, 2))})
    header = {"step": 1, "parts": ["DIGEST"], "tensors": [{"name": "a", "shape": [2]}], "header": {"settings": {}}}
    # The target reads a text, whose length the end of the input says, and bytes.
    text = json.dumps(header).encode()
    write("checkpoint/whole", text + tensor)
    write("checkpoint/header", text)
    write("shader/first", struct.pack("<HBi", 3, 0, 8))
    write("shader/second", struct.pack("<HBiBi", 700, 1, -1, 2, 64))


if __name__ == "__main__":
    weights()
    pictures()
    texts()
