//! The doctor's cases cover what the nets need on this machine's adapter, in every configuration that it supports, and
//! the stored answers of its pictures are right.

use std::collections::{BTreeMap, BTreeSet};

use impasto::gpu::{Context, ContextOptions, KernelClass, PRECISIONS, Precision, WGPU_VERSION};
use impasto::internal::{self, Kernel, pictures};
use impasto::methods::super_resolution;
use impasto::nets::SuperResolutionNet;
use impasto::nets::super_resolution_net::{Enlarger, SuperResolutionWeights};
use impasto::nets::tiles::Budget;
use impasto::weights;

/// A context for each configuration that the adapter supports: both classes in f32, the adapter's own class in f16, and
/// cooperative matrices. The first is that of the stored answers.
fn contexts() -> Vec<Context> {
    let with = |class, precision| (ContextOptions { class, ..ContextOptions::default() }, precision);
    let configurations = [
        with(Some(KernelClass::Broadcast), PRECISIONS[0]),
        with(Some(KernelClass::Tiled), PRECISIONS[0]),
        with(None, PRECISIONS[1]),
        with(None, PRECISIONS[2]),
    ];
    let open = |(options, precision): (ContextOptions, _)| Context::new(&options.in_precision(precision).unwrap()).ok();
    let contexts: Vec<_> = configurations.into_iter().filter_map(open).collect();
    assert!(contexts.iter().any(|context| context.class() == KernelClass::Tiled), "every adapter has tiled kernels");
    contexts
}

/// Writes the answers of a context's pictures to the file of stored answers.
fn bless(context: &Context) {
    let answer = |method: &str| {
        let picture = pictures::paint(context, method, pictures::SIZE).unwrap().unwrap();
        pictures::answer(&picture).iter().map(|value| (value * 1e5).round() / 1e5).collect::<Vec<_>>()
    };
    let answers: BTreeMap<_, _> = pictures::METHODS.map(|method| (method, answer(method))).into();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/doctor/answers.json");
    std::fs::write(file, serde_json::to_string(&answers).unwrap() + "\n").unwrap();
}

/// Paints with every method, and returns the kernels that the doctor examines in this context. The pictures agree with
/// the stored answers, with a margin. Every kernel that was compiled, for sides that are multiples of four and sides
/// that are not, is one that the doctor runs on inputs with known results.
fn paint_with_examined_kernels(context: &Context) -> BTreeSet<String> {
    let configuration = format!("{:?}, {}", context.class(), context.precision_name());
    for method in pictures::METHODS {
        let [difference, tolerance] =
            pictures::difference(context, method).unwrap().unwrap_or_else(|| panic!("{method} is not in this build"));
        println!("{configuration}, {method}: {difference:.6} of {tolerance}");
        let margin = if context.precision() == Precision::F32 { 10.0 } else { 2.0 };
        assert!(difference < tolerance / margin, "{configuration}, {method}: {difference}");
        pictures::paint(context, method, [61, 45]).unwrap();
    }
    // Enlarging has no stored answer.
    let file = weights::enlarger(weights::ENLARGERS[0].name).unwrap();
    let net = SuperResolutionNet::new(context, SuperResolutionWeights::of(&file).unwrap()).unwrap();
    let mut enlarger = Enlarger::new(net);
    for (size, factor) in [([24, 20], 4), ([19, 15], 2)] {
        super_resolution::enlarge(&mut enlarger, &pictures::photo(size), factor, &Budget::default()).unwrap();
    }
    let examined = internal::examined_kernels(context).unwrap();
    let compiled = internal::compiled(context);
    assert!(compiled.len() > 30, "{}", compiled.len());
    let missing: Vec<_> = compiled.iter().map(Kernel::to_string).filter(|kernel| !examined.contains(kernel)).collect();
    assert!(missing.is_empty(), "{configuration}: no case in src/doctor/cases runs\n{}", missing.join("\n"));
    examined
}

/// In every configuration, the pictures have the stored answers and the doctor examines the kernels that paint them. It
/// also examines an entry point of every operation: a new one needs a case in src/doctor/cases. Kernels that measure an
/// adapter's speed need none. `IMPASTO_BLESS` stores new answers.
#[test]
fn pictures_are_right_and_every_kernel_is_examined() {
    let contexts = contexts();
    if std::env::var_os("IMPASTO_BLESS").is_some() {
        return bless(&contexts[0]);
    }
    let examined: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> =
            contexts.iter().map(|context| scope.spawn(|| paint_with_examined_kernels(context))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let entries: BTreeSet<_> =
        examined.iter().flatten().map(|kernel| kernel.split(' ').next().unwrap().to_string()).collect();
    let broadcast = contexts.iter().any(|context| context.class() == KernelClass::Broadcast);
    let entry = |kernel: &Kernel| Kernel::new(kernel.shader, kernel.entry).to_string();
    // An adapter has matrices of one size or none. A case has tensors alone; tests/embed.rs examines what reads and
    // writes textures.
    let is_needed = |name: &String| {
        !["roof", "texture"].iter().any(|start| name.starts_with(start))
            && !name.contains("matrix")
            && (broadcast || !name.contains("broadcast"))
    };
    let all: BTreeSet<_> = internal::kernels().iter().map(entry).filter(is_needed).collect();
    let missing: Vec<_> = all.difference(&entries).cloned().collect();
    assert!(all.len() > 40 && missing.is_empty(), "no case in src/doctor/cases runs {}", missing.join(", "));
}

/// No method's answer is that of another method or of the photo.
#[test]
fn stored_answers_differ() {
    let stored = pictures::answers().unwrap();
    assert_eq!(stored.len(), pictures::METHODS.len());
    let photo = pictures::answer(&pictures::photo(pictures::SIZE));
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    for (method, answer) in &stored {
        assert!(apart(answer, &photo) > 0.05, "{method} does not differ from the photo");
        let others = stored.iter().filter(|(other, _)| *other != method);
        assert!(others.into_iter().all(|(_, other)| apart(answer, other) > 0.02), "{method} is like another method");
    }
}

#[test]
fn the_reported_version_of_wgpu_is_that_of_the_manifest() {
    let manifest = include_str!("../Cargo.toml");
    assert!(manifest.contains(&format!("\nwgpu = {{ version = \"{WGPU_VERSION}\"")));
}
