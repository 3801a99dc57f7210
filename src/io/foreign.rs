//! Files of other kinds, recognised to say what they are.

use std::path::Path;

use super::file::{AGAIN, Refusal, quoted, refusal};

/// The first line of a text file, for example of a web page saved by a failed download.
fn text_start(bytes: &[u8]) -> Option<&str> {
    let start = &bytes[..bytes.len().min(64)];
    // The last character may be truncated.
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let printable = |character: char| !character.is_control() || character.is_ascii_whitespace();
    if text.chars().all(printable) { text.lines().find(|line| !line.trim().is_empty()) } else { None }
}

/// The refusal of a text file where `wanted` (with an article) is expected; `None` if the file is not text.
pub(super) fn text(bytes: &[u8], wanted: &str) -> Option<Refusal> {
    let start = text_start(bytes)?;
    let lower = start.trim_start().to_lowercase();
    Some(if start.starts_with("version https://git-lfs.github.com/spec/") {
        refusal("it is a Git LFS pointer, which only names the file", "run `git lfs pull` where it comes from")
    } else if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        let reason = format!("it is a web page, not {wanted}: it begins with {}", quoted(start));
        refusal(reason, "download the file that the page offers")
    } else {
        let reason = format!("it is text, not {wanted}: it begins with {}", quoted(start));
        refusal(reason, "name another file")
    })
}

const TENSORFLOW: &str = "load it in TensorFlow and write its weights as safetensors, with PyTorch's names and shapes";

/// A kind of file that holds weights in a format that is not read.
struct Foreign {
    name: &'static str,
    /// The bytes at the start; empty if they say nothing.
    start: &'static [u8],
    /// Parts of the file's name.
    names: &'static [&'static str],
    help: &'static str,
}

const FOREIGN: [Foreign; 9] = [
    Foreign {
        name: "an HDF5 file, as Keras and TensorFlow write it",
        start: b"\x89HDF\r\n\x1a\n",
        names: &[".h5", ".hdf5", ".keras"],
        help: TENSORFLOW,
    },
    Foreign {
        name: "a file of NumPy",
        start: b"\x93NUMPY",
        names: &[".npy", ".npz"],
        help: "write its arrays as safetensors, with PyTorch's names and shapes",
    },
    Foreign {
        name: "a MATLAB file",
        start: b"MATLAB 5.0 MAT-file",
        names: &[".mat"],
        help: "use torchvision's or Caffe's VGG-19 as .pth or safetensors",
    },
    Foreign {
        name: "a file of Lua Torch7",
        start: b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1",
        names: &[".t7"],
        help: "read it with the Python package torchfile and write its weights as safetensors, with PyTorch's names",
    },
    Foreign {
        name: "an ONNX model",
        start: b"",
        names: &[".onnx"],
        help: "use the .pth from which it was exported, or write its initialisers as safetensors with PyTorch's names",
    },
    Foreign { name: "a TensorFlow Lite model", start: b"", names: &[".tflite"], help: TENSORFLOW },
    Foreign { name: "a graph of TensorFlow", start: b"", names: &[".pb", ".pbtxt"], help: TENSORFLOW },
    Foreign {
        name: "a part of a TensorFlow checkpoint",
        start: b"",
        names: &[".ckpt", ".data-00000-of-", ".index", ".meta"],
        help: TENSORFLOW,
    },
    Foreign {
        name: "a Caffe model",
        start: b"",
        names: &[".caffemodel"],
        help: "use jcjohnson's VGG-19 for PyTorch (vgg19-d01eb7cb.pth), or convert it to safetensors",
    },
];

/// Producers that ONNX exporters write near the start of a model.
const ONNX_PRODUCERS: [&[u8]; 3] = [b"pytorch", b"tf2onnx", b"onnx"];

/// The refusal of a file that holds no weights in a format that is read.
pub(super) fn weights(path: &Path, bytes: &[u8]) -> Refusal {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let start = &bytes[..bytes.len().min(64)];
    let is_onnx = bytes.first() == Some(&8)
        && ONNX_PRODUCERS.iter().any(|producer| start.windows(producer.len()).any(|part| part == *producer));
    let by_content = |known: &&Foreign| {
        (!known.start.is_empty() && bytes.starts_with(known.start)) || (is_onnx && known.names.contains(&".onnx"))
    };
    let by_name = |known: &&Foreign| known.names.iter().any(|part| name.contains(part));
    if let Some(known) = FOREIGN.iter().find(by_content).or_else(|| FOREIGN.iter().find(by_name)) {
        return refusal(format!("it is {}, which is not supported", known.name), known.help);
    }
    match image::guess_format(bytes) {
        Ok(format) => {
            let format = format!("{format:?}").to_uppercase();
            refusal(format!("it is a {format} picture, not a weight file"), "name a weight file")
        }
        Err(_) if bytes.is_empty() => refusal("the file is empty", AGAIN),
        Err(_) => refusal("it is neither a safetensors file nor a PyTorch .pth", "convert it to safetensors"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_named_by_content_or_by_name() {
        let message = |name: &str, bytes: &[u8]| {
            let (reason, help) = weights(Path::new(name), bytes);
            format!("{reason}; {help}")
        };
        let onnx = b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x80\x01";
        for (name, bytes, words) in [
            ("net", b"\x89HDF\r\n\x1a\n\0\0".as_slice(), ["HDF5", "TensorFlow"]),
            ("vgg19.npy", b"\x93NUMPY\x01\0", ["NumPy", "safetensors"]),
            ("imagenet-vgg-verydeep-19.mat", b"MATLAB 5.0 MAT-file, Platform", ["MATLAB", ".pth"]),
            ("instance_norm.dat", b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1\x12", ["Torch7", "torchfile"]),
            ("candy.t7", b"\x03\0\0\0\x01\0\0\0", ["Torch7", "torchfile"]),
            ("net.bin", onnx, ["ONNX", ".pth"]),
            ("Net.ONNX", b"\x08\x03", ["ONNX", ".pth"]),
            ("frozen.pb", b"\x0a\x18\x0a\x05input", ["graph of TensorFlow", "write its weights"]),
            ("fns.ckpt", b"\0\0", ["TensorFlow checkpoint", "write its weights"]),
            ("model.ckpt-9.data-00000-of-00001", b"\0\0", ["TensorFlow checkpoint", "write its weights"]),
            ("vgg.caffemodel", b"\x0a\x05VGG19", ["Caffe", "vgg19-d01eb7cb.pth"]),
            ("photo.pth", b"\x89PNG\r\n\x1a\n", ["PNG picture", "name a weight file"]),
            ("other", b"\x01\x02", ["neither", "convert it to safetensors"]),
            ("other", b"", ["empty", "fetch it again"]),
        ] {
            let message = message(name, bytes);
            assert!(words.iter().all(|word| message.contains(word)), "{name}: {message}");
        }
    }

    #[test]
    fn text_is_told_apart() {
        let message = |bytes: &[u8]| text(bytes, "a weight file").map(|(reason, help)| format!("{reason}; {help}"));
        let lfs = message(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n").unwrap();
        assert!(lfs.contains("Git LFS pointer") && lfs.contains("git lfs pull"), "{lfs}");
        let page = message(b"\n  <!DOCTYPE HTML><html>").unwrap();
        assert!(page.contains("web page, not a weight file"), "{page}");
        assert!(message(b"model_checkpoint_path: \"fns.ckpt\"").unwrap().contains("text, not a weight file"));
        assert_eq!(message(b"\x80\x02\x8a"), None);
        assert_eq!(message(b""), None);
    }
}
