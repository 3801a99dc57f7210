//! Tests of nets, losses, optimisers and whole methods: against figures of PyTorch (tests/fixtures), against the f64
//! references (src/reference) and against golden pictures (tests/golden).

#[path = "methods/adain.rs"]
mod adain;
#[path = "methods/gatys.rs"]
mod gatys;
#[path = "methods/gatys_in_windows.rs"]
mod gatys_in_windows;
#[path = "methods/image_transform_net.rs"]
mod image_transform_net;
#[path = "methods/layers.rs"]
mod layers;
#[path = "methods/nets.rs"]
mod nets;
#[path = "methods/optimisers.rs"]
mod optimisers;
#[path = "methods/painters_in_windows.rs"]
mod painters_in_windows;
#[path = "methods/steady.rs"]
mod steady;
#[path = "methods/super_resolution.rs"]
mod super_resolution;
#[path = "methods/training.rs"]
mod training;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use impasto::gpu::{Context, ContextOptions, DeviceTensor, KernelClass, Recorder, Tensor};
use impasto::internal::reference;
use impasto::io::WeightFile;
use impasto::ops::vector;
use reference::Array;

/// One context for each family of kernels, shared by all tests.
fn contexts() -> &'static [Context; 2] {
    static CONTEXTS: OnceLock<[Context; 2]> = OnceLock::new();
    CONTEXTS.get_or_init(|| {
        [KernelClass::Broadcast, KernelClass::Tiled].map(|class| {
            let options = ContextOptions { class: Some(class), ..ContextOptions::default() };
            // The broadcast kernels need subgroups; on a GPU without them, the tiled kernels are tested twice.
            let plain =
                || Context::new(&ContextOptions { class: Some(KernelClass::Tiled), ..ContextOptions::default() });
            Context::new(&options).or_else(|_| plain()).unwrap_or_else(|error| panic!("{error}"))
        })
    })
}

/// A context with the machine's default kernel class.
fn context() -> &'static Context {
    &contexts()[0]
}

fn fixture(name: &str) -> WeightFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    WeightFile::load(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// The tensors whose names begin with one of `parts`: a net without the results that a fixture has beside it.
fn tensors_of(file: &WeightFile, parts: &[&str]) -> WeightFile {
    let mut net = file.clone();
    net.tensors.retain(|(name, _)| parts.iter().any(|part| name.starts_with(part)));
    net
}

/// The VGG-19 of a fixture.
fn vgg_of(file: &WeightFile) -> WeightFile {
    tensors_of(file, &["conv", "features."])
}

fn array(file: &WeightFile, name: &str) -> Array {
    let tensor = file.get(name).unwrap_or_else(|| panic!("{} lacks {name}", file.path.display()));
    Array::from_f32(&tensor.shape, &tensor.data)
}

fn device(context: &Context, array: &Array) -> DeviceTensor {
    let shape = impasto::gpu::Shape::new(&array.shape);
    DeviceTensor::from_values(context, "input", shape, &array.to_f32()).unwrap()
}

/// Copies a symbolic tensor of a recording into a tensor that is filled with NaN before the run.
fn kept(rec: &mut Recorder, symbol: Tensor) -> DeviceTensor {
    let nan = vec![f32::NAN; symbol.shape.count()];
    let tensor = DeviceTensor::from_values(&rec.context().clone(), "kept", symbol.shape, &nan).unwrap();
    let into = rec.pin(&tensor);
    vector::copy(rec, symbol, into).unwrap();
    tensor
}

/// The data folder in `IMPASTO_DATA`. If it is not set, the calling test is skipped with a message.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("IMPASTO_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: set IMPASTO_DATA to the folder of real weights and pictures to run this test");
    }
    folder
}
