"""PyTorch, onnxruntime and ncnn as peers of Impasto: `python peers.py PEER ADAPTER`, started by the Rust program beside it.

Requests come as lines of JSON on standard input ({"do": "prepare" | "run" | "clear", ...}), an answer goes to standard output for
each. The nets stand below once, in terms of the few operations that every framework's class has.
"""

import contextlib
import json
import os
import struct
import sys
import tempfile
import time

EPSILON = 1e-5
STYLE_TAPS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
CONTENT_TAP, CONTENT_WEIGHT, STYLE_WEIGHT, LEARNING_RATE = "relu3_1", 1.0, 100.0, 1e-3
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
VGG = ["1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "3_4", "4_1"]
DECODER = ["d4_1", "d3_4", "d3_3", "d3_2", "d3_1", "d2_2", "d2_1", "d1_2", "d1_1"]


class Skip(Exception):
    """Something that a peer does not do, and why."""


# The nets, of operations `ops` on whatever it takes for a tensor.


def vgg(ops, picture, taps):
    """Features at each of `taps`, which are in order."""
    x = ops.scale_and_shift(picture, [1 / d for d in DEVIATION], [-m / d for m, d in zip(MEAN, DEVIATION)])
    features = []
    for name in VGG:
        if name in ("2_1", "3_1", "4_1"):
            x = ops.pool(x)
        x = ops.relu(ops.conv(x, f"vgg.conv{name}", border="zero"))
        if f"relu{name}" in taps:
            features.append(x)
        if len(features) == len(taps):
            return features


def johnson(ops, picture):
    def unit(x, conv, norm, stride=1):
        x = ops.conv(x, f"net.{conv}.conv2d", stride=stride)
        return ops.norm(x, f"net.{norm}")

    x = ops.relu(unit(picture, "conv1", "in1"))
    x = ops.relu(unit(x, "conv2", "in2", stride=2))
    x = ops.relu(unit(x, "conv3", "in3", stride=2))
    for block in range(1, 6):
        inner = ops.relu(unit(x, f"res{block}.conv1", f"res{block}.in1"))
        x = ops.add(x, unit(inner, f"res{block}.conv2", f"res{block}.in2"))
    x = ops.relu(unit(ops.enlarge(x), "deconv1", "in4"))
    x = ops.relu(unit(ops.enlarge(x), "deconv2", "in5"))
    return ops.conv(x, "net.deconv3.conv2d")


def adain(ops, photo, style):
    [goal] = vgg(ops, style, ["relu4_1"])
    [content] = vgg(ops, photo, ["relu4_1"])
    x = ops.adapt(content, goal)
    for name in DECODER:
        x = ops.enlarge(x) if name in ("d3_4", "d2_2", "d1_2") else x
        x = ops.conv(x, f"decoder.{name}")
        x = x if name == "d1_1" else ops.relu(x)
    return x


def forward(ops, work, photo, style):
    """The works that only infer: the output's name, and the output."""
    if work == "vgg":
        return "relu4_1", vgg(ops, photo, ["relu4_1"])[0]
    if work == "johnson":
        return "picture", johnson(ops, photo)
    if work == "adain":
        return "picture", adain(ops, photo, style)
    raise Skip("it is asked to infer only")


# Files of tensors.


def load(path):
    import numpy

    with open(path, "rb") as file:
        [length] = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    tensor = lambda of: numpy.frombuffer(data[slice(*of["data_offsets"])], "<f4").reshape(of["shape"]).copy()
    return {name: tensor(of) for name, of in header.items()}


def save(path, tensors):
    import numpy

    header, data = {}, b""
    for name, values in tensors.items():
        values = numpy.ascontiguousarray(values, "<f4")
        offsets = [len(data), len(data) + values.nbytes]
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": offsets}
        data += values.tobytes()
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


# The peers.


class Torch:
    """PyTorch, eager: f32 without TF32, or f16 with channels last."""

    def __init__(self, half):
        try:
            import torch
        except ImportError as error:
            raise Skip(f"PyTorch is not installed ({error})")
        self.torch, self.half = torch, half
        if torch.cuda.is_available():
            self.device, name = "cuda", torch.cuda.get_device_name()
        elif torch.backends.mps.is_available():
            self.device, name = "mps", "Metal"
        else:
            self.device, name = "cpu", f"CPU, {torch.get_num_threads()} threads"
        if half and self.device == "cpu":
            raise Skip("f16 is for GPUs, and PyTorch finds none")
        if hasattr(torch.backends.cudnn, "conv"):
            torch.backends.cuda.matmul.fp32_precision = "ieee"
            torch.backends.cudnn.conv.fp32_precision = "ieee"
        else:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
        self.version = f"{torch.__version__} ({name}, {'f16' if half else 'f32'})"

    def conv(self, x, name, stride=1, border="reflect"):
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        by = weight.shape[-1] // 2
        if border == "zero":
            return self.torch.nn.functional.conv2d(x, weight, bias, stride, by)
        x = self.torch.nn.functional.pad(x, [by] * 4, mode="reflect")
        return self.torch.nn.functional.conv2d(x, weight, bias, stride)

    def relu(self, x):
        return self.torch.relu(x)

    def pool(self, x):
        return self.torch.nn.functional.max_pool2d(x, 2)

    def enlarge(self, x):
        return self.torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")

    def norm(self, x, name):
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return self.torch.nn.functional.instance_norm(x, weight=weight, bias=bias, eps=EPSILON)

    def add(self, x, y):
        return x + y

    def scale_and_shift(self, x, scale, shift):
        scale, shift = (self.torch.tensor(v, device=x.device, dtype=x.dtype).view(1, 3, 1, 1) for v in (scale, shift))
        return x * scale + shift

    def adapt(self, content, style):
        variance, mean = self.torch.var_mean(style, (2, 3), correction=0, keepdim=True)
        normal = self.torch.nn.functional.instance_norm(content, eps=EPSILON)
        return normal * (variance + EPSILON).sqrt() + mean

    def prepare(self, work, size, tensors):
        torch = self.torch
        kind = torch.float16 if self.half else torch.float32

        def given(values):
            values = torch.from_numpy(values).to(self.device, kind)
            return values.to(memory_format=torch.channels_last) if self.half and values.dim() == 4 else values

        self.tensors = {name: given(values) for name, values in tensors.items()}
        photo, style = self.tensors["photo"], self.tensors["style"]
        if work == "johnson-training":
            return self.prepare_training(photo, style)
        if work == "vgg-gradient":
            photo.requires_grad_()

            def step():
                [features] = vgg(self, photo, ["relu4_1"])
                [gradient] = torch.autograd.grad((features * self.tensors["dy"]).sum(), photo)
                return {"gradient": gradient}
        else:

            def step():
                with torch.inference_mode():
                    name, result = forward(self, work, photo, style)
                return {name: result}

        self.step = step
        return {name: values.float().cpu().numpy() for name, values in step().items()}

    def prepare_training(self, photo, style):
        torch = self.torch
        if self.half:
            raise Skip("training in f16 needs loss scaling, which is another work")
        net = {name: values for name, values in self.tensors.items() if name.startswith("net.")}
        # A norm takes away what a bias before it adds: only the last one is learned.
        fixed = lambda name: name.endswith("conv2d.bias") and name != "net.deconv3.conv2d.bias"
        learned = {name: values.requires_grad_() for name, values in net.items() if not fixed(name)}
        adam = torch.optim.Adam(learned.values(), LEARNING_RATE, eps=1e-8, fused=self.device == "cuda")

        def gram(x):
            rows = x.flatten(2)
            return rows @ rows.transpose(1, 2) / x[0].numel()

        with torch.no_grad():
            grams = [gram(x) for x in vgg(self, style, STYLE_TAPS)]

        def step():
            adam.zero_grad()
            painted = johnson(self, photo)
            with torch.no_grad():
                [target] = vgg(self, photo, [CONTENT_TAP])
            features = vgg(self, painted, STYLE_TAPS)
            content = features[STYLE_TAPS.index(CONTENT_TAP)]
            loss = CONTENT_WEIGHT * (content - target).square().mean()
            for x, goal in zip(features, grams):
                loss = loss + STYLE_WEIGHT * (gram(x) - goal).square().mean()
            loss.backward()
            adam.step()
            return loss

        self.step = step
        outputs = {"loss": step().detach().view(1)}
        outputs.update({f"gradient {name[len('net.'):]}": values.grad for name, values in learned.items()})
        return {name: values.float().cpu().numpy() for name, values in outputs.items()}

    def run(self):
        self.step()
        if self.device != "cpu":
            getattr(self.torch, self.device).synchronize()

    def clear(self):
        self.tensors = self.step = None
        if self.device == "cuda":
            self.torch.cuda.empty_cache()


class OnnxRuntime:
    """onnxruntime on a graph of ONNX operators: CUDA without TF32 where it has it, else its own CPU kernels."""

    def __init__(self):
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            raise Skip(f"onnxruntime or onnx is not installed ({error})")
        self.onnx, self.runtime = onnx, onnxruntime
        cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        self.device = "cuda" if cuda else "cpu"
        self.providers = [("CUDAExecutionProvider", {"use_tf32": 0})] if cuda else ["CPUExecutionProvider"]
        self.version = f"{onnxruntime.__version__} ({self.device.upper()}, f32)"

    def node(self, kind, inputs, **attributes):
        output = f"t{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values, kind="float32"):
        import numpy

        name = f"c{len(self.constants)}"
        self.constants[name] = self.onnx.numpy_helper.from_array(numpy.asarray(values, kind), name)
        return name

    def weight(self, name):
        if name not in self.constants:
            self.constants[name] = self.onnx.numpy_helper.from_array(self.tensors[name], name)
        return name

    def conv(self, x, name, stride=1, border="reflect"):
        kernel = self.tensors[f"{name}.weight"].shape[-1]
        by = kernel // 2
        if border == "reflect":
            pads = self.constant([0, 0, by, by, 0, 0, by, by], "int64")
            x, by = self.node("Pad", [x, pads], mode="reflect"), 0
        inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.node("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[by] * 4)

    def relu(self, x):
        return self.node("Relu", [x])

    def pool(self, x):
        return self.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])

    def enlarge(self, x):
        scales = self.constant([1, 1, 2, 2])
        how = {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"}
        return self.node("Resize", [x, "", scales], **how)

    def norm(self, x, name):
        inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.node("InstanceNormalization", inputs, epsilon=EPSILON)

    def add(self, x, y):
        return self.node("Add", [x, y])

    def scale_and_shift(self, x, scale, shift):
        scale, shift = ([[[[v]] for v in values]] for values in (scale, shift))
        return self.node("Add", [self.node("Mul", [x, self.constant(scale)]), self.constant(shift)])

    def adapt(self, content, style):
        axes, epsilon = self.constant([2, 3], "int64"), self.constant(EPSILON)

        def statistics(x):
            mean = self.node("ReduceMean", [x, axes])
            centred = self.node("Sub", [x, mean])
            variance = self.node("ReduceMean", [self.node("Mul", [centred, centred]), axes])
            return mean, centred, self.node("Sqrt", [self.node("Add", [variance, epsilon])])

        mean, _, deviation = statistics(style)
        _, centred, own = statistics(content)
        normal = self.node("Div", [centred, own])
        return self.node("Add", [self.node("Mul", [normal, deviation]), mean])

    def prepare(self, work, size, tensors):
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        self.tensors, self.nodes, self.constants = tensors, [], {}
        name, result = forward(self, work, "photo", "style")
        names = ["photo", "style"] if work == "adain" else ["photo"]
        inputs = [helper.make_tensor_value_info(n, kind, [1, 3, size, size]) for n in names]
        outputs = [helper.make_tensor_value_info(result, kind, None)]
        graph = helper.make_graph(self.nodes, "work", inputs, outputs, list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        self.session = self.runtime.InferenceSession(model.SerializeToString(), providers=self.providers)
        self.binding = self.session.io_binding()
        for n in names:
            value = self.runtime.OrtValue.ortvalue_from_numpy(tensors[n], self.device, 0)
            self.binding.bind_ortvalue_input(n, value)
        self.binding.bind_output(result, self.device)
        self.run()
        return {name: self.binding.copy_outputs_to_cpu()[0]}

    def run(self):
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()

    def clear(self):
        self.session = self.binding = self.tensors = self.constants = None


class Ncnn:
    """ncnn on Vulkan, f32 or f16 (storage and arithmetic). Its runs bring the picture to the device and the result back."""

    def __init__(self, half, adapter):
        try:
            import ncnn
        except ImportError as error:
            raise Skip(f"ncnn is not installed ({error})")
        self.ncnn, self.half = ncnn, half
        names = [ncnn.get_gpu_info(index).device_name() for index in range(ncnn.get_gpu_count())]
        if adapter not in names:
            raise Skip(f"its Vulkan finds {', '.join(names) or 'no adapter'}, not {adapter}")
        self.index = names.index(adapter)
        self.version = f"{ncnn.__version__} (Vulkan, {'f16' if half else 'f32'})"

    def layer(self, kind, inputs, weights=(), **parameters):
        output = f"t{len(self.layers)}"
        self.layers.append((kind, inputs, output, weights, parameters))
        return output

    def conv(self, x, name, stride=1, border="reflect"):
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        by = weight.shape[-1] // 2
        if border == "reflect":
            x, by = self.layer("Padding", [x], p0=by, p1=by, p2=by, p3=by, p4=2), 0
        shape = {"p0": weight.shape[0], "p1": weight.shape[-1], "p3": stride, "p4": by, "p5": 1, "p6": weight.size}
        # A word in front says how weights are stored: as they are.
        return self.layer("Convolution", [x], [b"\0\0\0\0", weight, bias], **shape)

    def relu(self, x):
        return self.layer("ReLU", [x])

    def pool(self, x):
        return self.layer("Pooling", [x], p0=0, p1=2, p2=2, p5=1)

    def enlarge(self, x):
        return self.layer("Interp", [x], p0=1, p1=2.0, p2=2.0)

    def norm(self, x, name):
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return self.layer("InstanceNorm", [x], [weight, bias], p0=weight.size, p1=EPSILON)

    def add(self, x, y):
        return self.layer("BinaryOp", [x, y], p0=0)

    def scale_and_shift(self, x, scale, shift):
        import numpy

        return self.layer("Scale", [x], [numpy.float32(scale), numpy.float32(shift)], p0=3, p1=1)

    def adapt(self, content, style):
        channels = self.tensors["decoder.d4_1.weight"].shape[1]
        mean_of = lambda x: self.layer("Reduction", [x], p0=3, p1=0, **{"p-23303": "2,1,2"}, p4=1, p5=1)
        mean = mean_of(style)
        centred = self.layer("BinaryOp", [style, mean], p0=1)
        variance = mean_of(self.layer("UnaryOp", [centred], p0=4))
        raised = self.layer("BinaryOp", [variance], p0=0, p1=1, p2=EPSILON)
        deviation = self.layer("UnaryOp", [raised], p0=5)
        normal = self.layer("InstanceNorm", [content], p0=channels, p1=EPSILON, p2=0)
        return self.add(self.layer("BinaryOp", [normal, deviation], p0=2), mean)

    def files(self, inputs, result):
        """The graph as ncnn's text, with a Split behind whatever is read more than once, and the weights behind each other."""
        readers = {}
        for _, reads, *_ in self.layers:
            for blob in reads:
                readers[blob] = readers.get(blob, 0) + 1
        lines, blobs, weights = [], 0, b""

        def write(kind, name, reads, writes, parameters=""):
            nonlocal blobs
            blobs += len(writes)
            lines.append(" ".join([kind, name, str(len(reads)), str(len(writes)), *reads, *writes]) + parameters)
            for blob in writes:
                if kind != "Split" and readers.get(blob, 0) > 1:
                    write("Split", f"{blob}_split", [blob], [f"{blob}_{n}" for n in range(readers[blob])])

        copies = {blob: iter([f"{blob}_{n}" for n in range(count)]) for blob, count in readers.items() if count > 1}
        for blob in inputs:
            write("Input", blob, [], [blob])
        for kind, reads, output, own, parameters in self.layers:
            reads = [next(copies[blob]) if blob in copies else blob for blob in reads]
            text = "".join(f" {key[1:]}={value}" for key, value in parameters.items())
            write(kind, f"{output}_layer", reads, [output], text)
            weights += b"".join(part if isinstance(part, bytes) else part.astype("<f4").tobytes() for part in own)
        return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines]) + "\n", weights

    def prepare(self, work, size, tensors):
        import numpy

        self.tensors, self.layers = tensors, []
        name, self.result = forward(self, work, "photo", "style")
        names = ["photo", "style"] if work == "adain" else ["photo"]
        text, weights = self.files(names, self.result)
        self.net = self.ncnn.Net()
        options = self.net.opt
        options.use_vulkan_compute = True
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = self.half
        options.use_bf16_storage = False
        self.net.set_vulkan_device(self.index)
        with tempfile.TemporaryDirectory() as folder:
            paths = os.path.join(folder, "net.param"), os.path.join(folder, "net.bin")
            with open(paths[0], "w") as file:
                file.write(text)
            with open(paths[1], "wb") as file:
                file.write(weights)
            if self.net.load_param(paths[0]) != 0 or self.net.load_model(paths[1]) != 0:
                raise RuntimeError("ncnn does not load the net")
        self.inputs = {n: self.ncnn.Mat(tensors[n][0]).clone() for n in names}
        return {name: numpy.array(self.extract())}

    def extract(self):
        extractor = self.net.create_extractor()
        for name, values in self.inputs.items():
            extractor.input(name, values)
        status, output = extractor.extract(self.result)
        if status != 0:
            raise RuntimeError(f"ncnn gives the status {status}")
        return output

    def run(self):
        self.extract()

    def clear(self):
        self.net = self.inputs = self.tensors = self.layers = None


PEERS = {
    "torch": lambda adapter: Torch(half=False),
    "torch-f16": lambda adapter: Torch(half=True),
    "onnxruntime": lambda adapter: OnnxRuntime(),
    "ncnn": lambda adapter: Ncnn(False, adapter),
    "ncnn-f16": lambda adapter: Ncnn(True, adapter),
}


def answer(peer, request):
    if request["do"] == "prepare":
        save(request["outputs"], peer.prepare(request["work"], request["size"], load(request["material"])))
    elif request["do"] == "run":
        start = time.perf_counter()
        peer.run()
        return {"seconds": time.perf_counter() - start}
    elif request["do"] == "clear":
        peer.clear()
    return {}


def guarded(work):
    try:
        return work()
    except Skip as reason:
        return {"skipped": str(reason)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}


def main():
    name, adapter = sys.argv[1:]
    # What a framework prints goes beside the answers, not between them.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(what):
        print(json.dumps(what), file=answers, flush=True)

    peer = None

    def start():
        nonlocal peer
        peer = PEERS[name](adapter)
        return {"version": peer.version}

    say(guarded(start))
    if peer is None:
        return
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            say(guarded(lambda: answer(peer, json.loads(line))))


if __name__ == "__main__":
    main()
