//! The doctor's cases cover what the nets need on this machine's adapter, in every configuration that it supports, and
//! the stored answers of its pictures are right.

use std::collections::{BTreeMap, BTreeSet};

use impasto::gpu::{Context, ContextOptions, KernelClass, PRECISIONS, Precision, WGPU_VERSION};
use impasto::internal::{self, Kernel, pictures};

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

/// Every kernel that a method compiles, for sides that are multiples of four and sides that are not, is one that the
/// doctor runs on inputs with known results. So is an entry point of every operation: a new one needs a case in
/// src/doctor/cases. Kernels that measure an adapter's speed need none.
#[test]
fn every_kernel_of_the_methods_and_every_operation_is_examined() {
    let mut entries = BTreeSet::new();
    let mut broadcast = false;
    for context in contexts() {
        let examined = internal::examined_kernels(&context).unwrap();
        for method in pictures::METHODS {
            for size in [pictures::SIZE, [61, 45]] {
                assert!(pictures::paint(&context, method, size).unwrap().is_some(), "{method} is not in this build");
            }
        }
        let compiled = internal::compiled(&context);
        assert!(compiled.len() > 30, "{}", compiled.len());
        let missing: Vec<_> =
            compiled.iter().map(Kernel::to_string).filter(|kernel| !examined.contains(kernel)).collect();
        let (class, precision) = (context.class(), context.precision_name());
        assert!(missing.is_empty(), "{class:?}, {precision}: no case in src/doctor/cases runs\n{}", missing.join("\n"));
        entries.extend(examined.iter().map(|kernel| kernel.split(' ').next().unwrap().to_string()));
        broadcast |= class == KernelClass::Broadcast;
    }
    let entry = |kernel: &Kernel| Kernel::new(kernel.shader, kernel.entry).to_string();
    // An adapter has matrices of one size or none.
    let is_needed = |name: &String| {
        !name.starts_with("roof") && !name.contains("matrix") && (broadcast || !name.contains("broadcast"))
    };
    let all: BTreeSet<_> = internal::kernels().iter().map(entry).filter(is_needed).collect();
    let missing: Vec<_> = all.difference(&entries).cloned().collect();
    assert!(all.len() > 40 && missing.is_empty(), "no case in src/doctor/cases runs {}", missing.join(", "));
}

/// The pictures agree with the stored answers in every configuration, with a margin, and the answers of two methods or
/// of the photo do not. `IMPASTO_BLESS` stores new answers.
#[test]
fn pictures_have_the_stored_answers() {
    let contexts = contexts();
    if std::env::var_os("IMPASTO_BLESS").is_some() {
        let answer = |method: &str| {
            let picture = pictures::paint(&contexts[0], method, pictures::SIZE).unwrap().unwrap();
            pictures::answer(&picture).iter().map(|value| (value * 1e5).round() / 1e5).collect::<Vec<_>>()
        };
        let answers: BTreeMap<_, _> = pictures::METHODS.map(|method| (method, answer(method))).into();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/doctor/answers.json");
        std::fs::write(file, serde_json::to_string(&answers).unwrap() + "\n").unwrap();
        return;
    }
    for context in &contexts {
        for method in pictures::METHODS {
            let [difference, tolerance] = pictures::difference(context, method).unwrap().unwrap();
            println!("{:?} {} {method}: {difference:.6} of {tolerance}", context.class(), context.precision_name());
            let margin = if context.precision() == Precision::F32 { 10.0 } else { 2.0 };
            assert!(difference < tolerance / margin, "{:?} {method}: {difference}", context.class());
        }
    }
    let stored = pictures::answers().unwrap();
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
