//! All workloads of `impasto bench` at 256², measured with criterion: `cargo bench`, or `cargo bench -- gram`.
//!
//! Throughput is in elements per second, where an element is a floating-point operation; divide by 1e9 for GFLOP/s. The
//! name of each workload states its GFLOP and GB.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use impasto::gpu::{Context, ContextOptions};
use impasto::{Error, bench};

fn kernels(criterion: &mut Criterion) {
    let context = Context::new(&ContextOptions::default()).expect("benches need an adapter");
    println!("{}, {}", context.name(), context.driver());
    let mut group = criterion.benchmark_group("256²");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for plan in bench::all(context.precision(), 256, 1) {
        let name = plan.name.clone();
        let made = plan.make(&context).and_then(|mut workload| workload.run().map(|()| workload));
        let mut workload = match made {
            Err(error @ Error::TooLarge { .. }) => {
                println!("{name} skipped: {error}");
                continue;
            }
            made => made.expect("making a workload"),
        };
        group.throughput(Throughput::Elements(workload.flops));
        let name =
            format!("{name} ({:.3} GFLOP, {:.3} GB)", workload.flops as f64 * 1e-9, workload.bytes as f64 * 1e-9);
        group.bench_function(name, |bencher| bencher.iter(|| workload.run().expect("running a workload")));
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
