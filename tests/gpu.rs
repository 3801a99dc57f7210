//! Tests of recorded programs: planned memory agrees with the driver's allocations; parameters change without a new
//! program; every dispatch is timed; the first NaN is located; a host's device works; and invalid uses give errors with
//! advice.

use impasto::gpu::{Context, ContextOptions, DeviceTensor, KernelClass, Precision, Recorder, Tensor};
use impasto::internal::{Block, Dispatch, Fields, Kernel, linear_groups};
use impasto::ops::conv2d::{Conv2d, Padding};
use impasto::ops::pad::Border;
use impasto::ops::{relu, vector};
use impasto::{Error, Result};

fn open(class: Option<KernelClass>) -> Context {
    Context::new(&ContextOptions { class, ..Default::default() }).unwrap_or_else(|error| panic!("{error}"))
}

fn pinned<const R: usize>(rec: &mut Recorder, name: &str, shape: [usize; R]) -> (DeviceTensor, Tensor) {
    let tensor = DeviceTensor::new(rec.context(), name, shape);
    let symbol = rec.pin(&tensor);
    (tensor, symbol)
}

/// Distinct numbers of both signs.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 37 % 101) as f32 / 50.0 - 0.99).collect()
}

/// Convolutions like VGG's first layers on a picture of `side`², all of the same size, each with its own weights.
fn record_convolutions(rec: &mut Recorder, side: usize, layers: usize) -> Result<()> {
    let (_, mut x) = pinned(rec, "picture", [1, 3, side, side]);
    for layer in 0..layers {
        let channels_in = if layer == 0 { 3 } else { 64 };
        let padding = Padding::Same(Border::Zero);
        let conv = Conv2d { channels_in, channels_out: 64, kernel: 3, stride: 1, padding, upsample: false, relu: true };
        let count = conv.packed_count(rec.class())[0];
        let [weights, bias] = [("weights", count), ("bias", 64)].map(|(name, count)| pinned(rec, name, [count]).1);
        x = conv.forward(rec, x, weights, Some(bias))?;
    }
    let (_, result) = pinned(rec, "result", [1, 64, side, side]);
    vector::copy(rec, x, result)
}

#[test]
fn the_memory_plan_matches_the_allocations_of_the_driver() {
    for class in [KernelClass::Tiled, KernelClass::Broadcast] {
        let context = open(Some(class));
        // Metal does not report allocations, so there is nothing to compare with the plan.
        let Some(before) = context.allocated_bytes() else { return };
        let allocated = || context.allocated_bytes().unwrap_or_default();
        let mut rec = Recorder::new(&context);
        record_convolutions(&mut rec, 256, 6).unwrap();
        let planned = rec.memory().unwrap().peak_bytes();
        assert_eq!(allocated(), before, "recording and planning allocate nothing");
        let program = rec.finish().unwrap();
        assert_eq!(program.memory().peak_bytes(), planned);
        let measured = allocated() - before;
        let error = (measured as f64 / planned as f64 - 1.0).abs();
        assert!(error < 0.05, "{class:?}: {measured} bytes where {planned} were planned");
    }
}

#[test]
fn transients_share_buffers() {
    let context = open(None);
    let bytes_of = |layers: usize| {
        let mut rec = Recorder::new(&context);
        let (_, mut x) = pinned(&mut rec, "x", [1 << 20]);
        for _ in 0..layers {
            x = relu::forward(&mut rec, x).unwrap();
        }
        rec.memory().unwrap()
    };
    // With one layer, the input and one transient; from two layers on, two transients.
    assert_eq!([1, 2, 3, 50].map(|layers| bytes_of(layers).peak_bytes() >> 22), [2, 3, 3, 3]);
    // Programs that share no tensor need the sum of both peaks.
    assert_eq!(bytes_of(2).join(bytes_of(3)).peak_bytes() >> 22, 6);
}

#[test]
fn a_tensor_pinned_by_two_programs_counts_once() {
    let context = open(None);
    let shared = DeviceTensor::new(&context, "shared", [1 << 20]);
    let plan = || {
        let mut rec = Recorder::new(&context);
        let z = rec.pin(&shared);
        assert_eq!(rec.pin(&shared), z, "the same tensor is the same symbol");
        vector::fill(&mut rec, z, 1.0).unwrap();
        rec.memory().unwrap()
    };
    assert_eq!(plan().join(plan()).peak_bytes() >> 22, 1);
}

#[test]
fn a_tensor_that_is_too_large_is_refused_before_anything_is_allocated() {
    let context = open(None);
    let before = context.allocated_bytes();
    let count = context.max_tensor_bytes() as usize / 4 + 1;
    let refused = |result: Result<()>| match result {
        Err(error @ Error::TooLarge { .. }) => assert!(error.to_string().contains("the huge one"), "{error}"),
        other => panic!("{other:?}"),
    };
    let record = || {
        let mut rec = Recorder::new(&context);
        let (_, small) = pinned(&mut rec, "the small one", [64]);
        vector::fill(&mut rec, small, 1.0).unwrap();
        let huge = rec.transient("the huge one", [count]);
        vector::fill(&mut rec, huge, 1.0).unwrap();
        rec
    };
    refused(record().memory().map(drop));
    refused(record().finish().map(drop));
    refused(DeviceTensor::new(&context, "the huge one", [count]).read().map(drop));
    assert_eq!(context.allocated_bytes(), before);
}

/// Parameters of `fill` in vector.wgsl.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct FillParams([f32; 3]);

impl Block for FillParams {
    const FIELDS: Fields = &[("a", 0), ("b", 4), ("slot", 8)];
}

#[test]
fn parameters_change_between_runs() {
    let context = open(None);
    let mut rec = Recorder::new(&context);
    let value = rec.uniform(&FillParams([1.5, 0.0, 0.0]));
    let (z, symbol) = pinned(&mut rec, "z", [100]);
    let fill = Dispatch::new(Kernel::new("vector.wgsl", "fill"), "fill").bind("z", symbol).uniform(value);
    rec.dispatch(fill.groups(linear_groups(100, 64))).unwrap();
    let program = rec.finish().unwrap();
    let after_a_run = || {
        program.run().unwrap();
        z.read().unwrap()
    };
    assert_eq!(after_a_run(), [1.5; 100]);
    program.set(value, &FillParams([-2.25, 0.0, 0.0]));
    assert_eq!(after_a_run(), [-2.25; 100]);
    assert_eq!(after_a_run(), [-2.25; 100]);
}

/// Many dispatches are split into several submissions, each of which sees the results of the previous one.
#[test]
fn long_programs_run_in_order() {
    let context = open(None);
    let mut rec = Recorder::new(&context);
    let (x, from) = pinned(&mut rec, "x", [1 << 20]);
    let (z, into) = pinned(&mut rec, "z", [1 << 20]);
    vector::fill(&mut rec, into, 1.0).unwrap();
    for _ in 0..100 {
        vector::axpy(&mut rec, 2.0, from, into).unwrap();
        vector::clamp(&mut rec, into, 0.0, 150.0).unwrap();
    }
    let program = rec.finish().unwrap();
    x.write(&vec![1.0; 1 << 20]).unwrap();
    program.run().unwrap();
    // 1, 3, 5, ... 149, then 150.
    assert!(z.read().unwrap().iter().all(|&value| value == 150.0));
    x.write(&vec![0.5; 1 << 20]).unwrap();
    program.run().unwrap();
    assert!(z.read().unwrap().iter().all(|&value| value == 101.0));
}

#[test]
fn a_replay_creates_no_objects() {
    let context = open(None);
    let mut known = impasto::internal::objects_made(&context);
    let mut made = || {
        let before = std::mem::replace(&mut known, impasto::internal::objects_made(&context));
        known - before
    };
    let z = DeviceTensor::new(&context, "z", [100]);
    let finish = || {
        let mut rec = Recorder::new(&context);
        let into = rec.pin(&z);
        vector::fill(&mut rec, into, 1.5).unwrap();
        rec.finish().unwrap()
    };
    assert_eq!(made(), 0, "a tensor that nobody has used");
    let program = finish();
    assert_eq!(made(), 4, "a pipeline, parameters, z, and what binds them");
    drop(finish());
    assert_eq!(made(), 2, "parameters, and what binds them");
    program.run().unwrap();
    program.run().unwrap();
    assert_eq!(made(), 0, "runs");
    assert_eq!(z.read().unwrap(), [1.5; 100]);
    assert_eq!(made(), 1, "what z is read through");
    z.write(&[0.0; 100]).unwrap();
    program.run().unwrap();
    assert_eq!(z.read().unwrap(), [1.5; 100]);
    assert_eq!(made(), 0, "a write, a run and a second read");
}

#[test]
fn every_dispatch_is_timed() {
    for class in [KernelClass::Tiled, KernelClass::Broadcast] {
        let context = open(Some(class));
        let mut rec = Recorder::new(&context);
        record_convolutions(&mut rec, 16, 3).unwrap();
        let program = rec.finish().unwrap();
        program.run().unwrap();
        let profile = program.profile().unwrap();
        assert_eq!(profile.dispatches.len(), program.dispatches());
        assert!(!profile.device.is_empty() && !profile.driver.is_empty());
        for timing in &profile.dispatches {
            assert!(timing.seconds > 0.0 && timing.seconds < 60.0, "{timing:?}, by {}", profile.clock);
            assert!(timing.gigabytes > 0.0, "{timing:?}");
        }
        for pair in profile.dispatches.windows(2) {
            assert!(pair[1].start >= pair[0].start, "{pair:?}, by {}", profile.clock);
        }
        let (seconds, span) = (profile.seconds(), profile.span());
        assert!(profile.dispatches[0].start == 0.0 && span > 0.0 && span < 60.0, "{span}");
        let kinds = profile.kernel_totals();
        assert!(kinds.is_sorted_by(|a, b| a.seconds >= b.seconds), "{kinds:?}");
        assert_eq!(kinds.iter().map(|kind| kind.count).sum::<usize>(), program.dispatches());
        assert!((kinds.iter().map(|kind| kind.seconds).sum::<f64>() / seconds - 1.0).abs() < 1e-9, "{kinds:?}");
        assert!(kinds.iter().any(|kind| kind.name == "vector:affine" && kind.count == 1), "{kinds:?}");
        let gflop: f64 = profile.dispatches.iter().filter(|t| t.label.starts_with("conv2d")).map(|t| t.gflop).sum();
        // Two operations per product, and 9 · 64 · (3 + 64 + 64) products per pixel.
        assert!((gflop / (2e-9 * (9 * 64 * 131 * 256) as f64) - 1.0).abs() < 1e-6, "{gflop}");
    }
}

#[test]
fn the_first_dispatch_that_makes_a_nan_is_named() {
    let context = open(None);
    let mut rec = Recorder::new(&context);
    let (x, from) = pinned(&mut rec, "x", [200]);
    let scaled = rec.transient("scaled", [200]);
    let wrecked = rec.transient("wrecked", [200]);
    vector::affine(&mut rec, 2.0, from, 0.0, from, scaled).unwrap();
    let y = relu::forward(&mut rec, scaled).unwrap();
    // Infinite where the output of the ReLU exceeds 1.
    vector::affine(&mut rec, f32::MAX, y, 0.0, y, wrecked).unwrap();
    relu::forward(&mut rec, wrecked).unwrap();
    let program = rec.finish().unwrap();
    let mut values = vec![-0.5; 200];
    values[3] = 0.25;
    x.write(&values).unwrap();
    assert_eq!(program.find_non_finite().unwrap(), None);
    values[123] = 0.75;
    x.write(&values).unwrap();
    let found = program.find_non_finite().unwrap().expect("an infinity");
    assert!(found.starts_with("affine") && found.contains("wrecked[123] = inf"), "{found}");
    values[77] = f32::NAN;
    x.write(&values).unwrap();
    let found = program.find_non_finite().unwrap().expect("a NaN");
    assert!(found.starts_with("affine") && found.contains("scaled[77] = NaN"), "{found}");
}

#[test]
fn overflow_of_f16_is_reported() {
    let context = open(None);
    if !context.has_half() {
        let options = ContextOptions { precision: Precision::F16, ..Default::default() };
        let error = Context::new(&options).err().unwrap().to_string();
        assert!(error.contains("precision") && error.contains(context.name()), "{error}");
        return;
    }
    let mut rec = Recorder::new(&context);
    let (x, from) = pinned(&mut rec, "x", [200]);
    let half = vector::stored(&mut rec, from, Precision::F16).unwrap();
    vector::stored(&mut rec, half, Precision::F32).unwrap();
    let program = rec.finish().unwrap();
    let mut values = vec![65_504.0; 200];
    x.write(&values).unwrap();
    assert_eq!(program.find_non_finite().unwrap(), None);
    values[11] = -66_000.0;
    x.write(&values).unwrap();
    let found = program.find_non_finite().unwrap().expect("an infinity");
    assert!(found.contains("[11] = -inf") && found.contains("f16") && found.contains("f32"), "{found}");
}

/// Matrices need f16, tiled kernels and a device that the context opened itself; each error says so.
#[test]
fn matrices_require_f16_tiled_kernels_and_an_own_device() {
    let wanted = ContextOptions::default().in_precision("f16-matrix").unwrap();
    assert!(wanted.matrices && wanted.precision == Precision::F16);
    let refused = |options: ContextOptions| Context::new(&options).err().unwrap().to_string();
    assert!(refused(ContextOptions { precision: Precision::F32, ..wanted.clone() }).contains("precision f16"));
    let broadcast = ContextOptions { class: Some(KernelClass::Broadcast), ..wanted.clone() };
    assert!(refused(broadcast).contains("tiled"));
    match Context::new(&wanted) {
        Ok(context) => {
            assert_eq!((context.class(), context.precision_name()), (KernelClass::Tiled, "f16-matrix"));
            let matrices = context.matrices().expect("right ones");
            assert!([matrices.rows, matrices.columns, matrices.depth].iter().all(|size| [8, 16].contains(size)));
        }
        Err(error) => assert!(error.to_string().contains("has no cooperative matrices"), "{error}"),
    }
    assert!(ContextOptions::default().in_precision("f8").unwrap_err().to_string().contains("f32, f16, f16-matrix"));
}

/// Values stored as f16 are rounded to nearest; an odd number of elements ends in the middle of a word.
#[test]
fn f16_tensors_are_rounded_to_nearest() {
    let context = open(None);
    let tensor = DeviceTensor::stored(&context, Precision::F16, "t", [5]);
    tensor.write(&[1.0, -2.5, 1.0 + 1.0 / 2048.0, 1.0 + 1.0 / 1024.0, 6e-8]).unwrap();
    assert_eq!(tensor.read().unwrap(), [1.0, -2.5, 1.0, 1.0 + 1.0 / 1024.0, 5.9604645e-8]);
    assert_eq!(tensor.precision(), Precision::F16);
}

#[test]
fn tensors_keep_their_values() {
    let context = open(None);
    let values = numbers(1031);
    let tensor = DeviceTensor::from_values(&context, "t", [1031], &values).unwrap();
    assert_eq!(tensor.read().unwrap(), values);
    assert_eq!(DeviceTensor::new(&context, "new", [7]).read().unwrap(), [0.0; 7]);
    let error = tensor.write(&values[1..]).unwrap_err().to_string();
    assert!(error.contains("write to t") && error.contains("1031") && error.contains("1030"), "{error}");
    assert_eq!(tensor.read().unwrap(), values);
}

/// A device such as a host engine opens: without features, with WebGPU's default limits.
fn host_device() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()));
    let adapter = adapter.unwrap_or_else(|_| panic!("{}", open_error()));
    pollster::block_on(adapter.request_device(&Default::default())).unwrap()
}

fn open_error() -> String {
    Context::new(&Default::default()).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn programs_run_on_the_device_and_encoder_of_a_host() {
    let (device, queue) = host_device();
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let context = Context::from_host(device.clone(), queue.clone(), &Default::default()).unwrap();
    assert_eq!(context.class(), KernelClass::Tiled, "without subgroups there is only one class");
    let matrices = ContextOptions::default().in_precision("f16-matrix").unwrap();
    let error = Context::from_host(device.clone(), queue.clone(), &matrices).err().unwrap().to_string();
    assert!(error.contains("matrices") && error.contains("host"), "{error}");
    let mut results = Vec::new();
    for channels in [3, 16, 64, 80] {
        let mut rec = Recorder::new(&context);
        let padding = Padding::Same(Border::Reflect);
        let conv = Conv2d {
            channels_in: 3,
            channels_out: channels,
            kernel: 3,
            stride: 1,
            padding,
            upsample: false,
            relu: true,
        };
        let (x, x_symbol) = pinned(&mut rec, "x", [1, 3, 19, 23]);
        let (w, w_symbol) = pinned(&mut rec, "w", [channels, 3, 3, 3]);
        let (y, y_symbol) = pinned(&mut rec, "y", [1, channels, 19, 23]);
        let packed = rec.transient("packed", [conv.packed_count(rec.class())[0]]);
        conv.pack(&mut rec, w_symbol, false, packed).unwrap();
        let result = conv.forward(&mut rec, x_symbol, packed, None).unwrap();
        vector::copy(&mut rec, result, y_symbol).unwrap();
        let program = rec.finish().unwrap();
        for tensor in [&x, &w] {
            tensor.write(&numbers(tensor.shape().count())).unwrap();
        }
        program.run().unwrap();
        let of_run = y.read().unwrap();
        assert!(of_run.iter().all(|value| value.is_finite()) && of_run.iter().any(|&value| value > 0.0));

        y.write(&vec![f32::NAN; of_run.len()]).unwrap();
        let mut encoder = device.create_command_encoder(&Default::default());
        program.encode(&mut encoder);
        assert!(y.read().unwrap().iter().all(|value| value.is_nan()), "encoding must not run anything");
        queue.submit([encoder.finish()]);
        assert_eq!(y.read().unwrap(), of_run);
        results.push(of_run);
    }
    // The first channels have the same weights in all cases, whatever the tile size.
    for other in &results[1..] {
        assert!(results[0].iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    assert!(pollster::block_on(scope.pop()).is_none(), "the host sees no error");
}

#[test]
fn a_host_that_loses_its_device_gets_errors() {
    let (device, queue) = host_device();
    let context = Context::from_host(device.clone(), queue, &Default::default()).unwrap();
    let mut rec = Recorder::new(&context);
    let (x, x_symbol) = pinned(&mut rec, "x", [64]);
    let (y, y_symbol) = pinned(&mut rec, "y", [64]);
    vector::copy(&mut rec, x_symbol, y_symbol).unwrap();
    let program = rec.finish().unwrap();
    x.write(&numbers(64)).unwrap();
    program.run().unwrap();
    y.read().unwrap();

    device.destroy();
    // wgpu reports a lost device where something comes back from it, and ignores commands before that.
    let _ = x.write(&numbers(64));
    let _ = program.run();
    let error = y.read().unwrap_err();
    assert!(matches!(error, Error::DeviceLost(_)), "{error}");
    let mut rec = Recorder::new(&context);
    let (x, y) = (rec.pin(&x), rec.pin(&y));
    vector::copy(&mut rec, x, y).unwrap();
    let _ = rec.finish().and_then(|program| program.run());
    assert!(DeviceTensor::new(&context, "new", [4]).read().is_err());
}

#[test]
fn a_host_device_below_a_limit_is_refused_with_its_name() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let required_limits = wgpu::Limits { max_compute_invocations_per_workgroup: 128, ..Default::default() };
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let error = Context::from_host(device, queue, &Default::default()).err().expect("too few invocations").to_string();
    assert!(error.contains("max_compute_invocations_per_workgroup must be at least 256, got 128"), "{error}");
}

#[test]
fn reads_complete_when_the_host_polls() {
    let (device, queue) = host_device();
    let context = Context::from_host(device.clone(), queue, &Default::default()).unwrap();
    let values = numbers(1000);
    let tensor = DeviceTensor::from_values(&context, "t", [1000], &values).unwrap();
    let mut reading = std::pin::pin!(tensor.read_async());
    let mut polls = 0;
    let read = loop {
        match reading.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(read) => break read,
            std::task::Poll::Pending => polls += 1,
        }
        device.poll(wgpu::PollType::Poll).unwrap();
    };
    assert_eq!(read.unwrap(), values);
    assert!(polls > 0, "the first poll must not wait for the device");
}

#[test]
fn an_unsupported_kernel_class_is_refused() {
    let (device, queue) = host_device();
    let options = ContextOptions { class: Some(KernelClass::Broadcast), ..Default::default() };
    let error = Context::from_host(device, queue, &options).err().expect("a device without subgroups");
    assert!(matches!(error, Error::Argument { .. }) && error.to_string().contains("subgroups"), "{error}");
}

#[test]
fn an_unknown_device_is_refused_with_a_list_of_adapters() {
    let context = open(None);
    for wanted in ["no such adapter", "99"] {
        let options = ContextOptions { device: Some(wanted.into()), ..Default::default() };
        let error = Context::new(&options).err().expect("an adapter that is not there");
        let message = error.to_string();
        assert!(
            matches!(error, Error::NoAdapter { .. }) && message.contains(wanted) && message.contains(context.name()),
            "{message}"
        );
    }
}

/// Runs this test in a child process in which no driver is found.
#[test]
#[cfg(target_os = "linux")]
fn without_a_driver_the_error_says_how_to_get_one() {
    if std::env::var_os("VK_DRIVER_FILES").is_some_and(|files| files == "/nonexistent") {
        return println!("{}", open_error());
    }
    let name = "without_a_driver_the_error_says_how_to_get_one";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("VK_DRIVER_FILES", "/nonexistent")
        .env("VK_ICD_FILENAMES", "/nonexistent")
        .env("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("no GPU adapter was found; install a Vulkan driver"), "{said}");
    assert!(said.contains("apt-get install mesa-vulkan-drivers"), "{said}");
}
