//! The kernels that measure the adapter's limits do all the work that is counted.

use impasto::Error;
use impasto::gpu::{DeviceTensor, Recorder};
use impasto::ops::roof::{self, Arithmetic, CHAINS, ROUND};

use crate::harness::{EXACT, SUM, check, contexts};
use crate::reference::{Array, roof as reference};

#[test]
fn multiply_adds_match_the_oracle() {
    let halves = contexts().all(|context| context.has_half());
    if !halves {
        println!("skipped in half precision: this device has none");
    }
    for chains in CHAINS {
        for (rounds, threads) in [(1, 256), (2, 768)] {
            let expected = reference::multiply_add(threads, chains as usize, rounds as usize * ROUND);
            // In f16, numbers around 1 are rounded to 5e-4, and each step reduces the error of previous steps.
            let precisions = [(Arithmetic::Single, SUM), (Arithmetic::Half, 1e-3)];
            for (precision, tolerance) in precisions.into_iter().take(1 + usize::from(halves)) {
                let label = format!("{precision:?} multiply-adds, {chains} chains, {rounds} rounds");
                check(&label, &[], &[&expected], tolerance, |rec, _| {
                    let out = rec.transient("out", [threads]);
                    roof::multiply_add(rec, precision, chains, rounds, out)?;
                    Ok(vec![out])
                });
            }
        }
    }
}

/// After many rounds every chain is at 1/2: numbers neither grow nor become subnormal.
#[test]
fn long_chains_converge() {
    let expected = Array::vector(vec![6.0; 256]);
    check("many rounds", &[], &[&expected], SUM, |rec, _| {
        let out = rec.transient("out", [256]);
        roof::multiply_add(rec, Arithmetic::Single, 12, 5000, out)?;
        Ok(vec![out])
    });
}

/// Every element of every chain's sum, on adapters with cooperative matrices.
#[test]
fn matrix_sums_are_complete() {
    let mut with_matrices = contexts().filter_map(|context| context.matrices().map(|matrices| (context, matrices)));
    let Some((context, matrices)) = with_matrices.next() else {
        let mut rec = Recorder::new(contexts().next().unwrap());
        let out = rec.transient("out", [1024]);
        let error = roof::multiply_add_matrices(&mut rec, 1, out).unwrap_err().to_string();
        assert!(error.contains("matrices"), "{error}");
        return;
    };
    let sums = 4 * (matrices.rows * matrices.columns) as usize;
    for rounds in [1, 24] {
        let out = DeviceTensor::new(context, "out", [3 * sums]);
        let mut rec = Recorder::new(context);
        let symbol = rec.pin(&out);
        roof::multiply_add_matrices(&mut rec, rounds, symbol).unwrap();
        rec.finish().unwrap().run().unwrap();
        assert_eq!(out.read().unwrap(), vec![rounds as f32 / 8.0; 3 * sums]);
    }
}

#[test]
fn copy_copies_all_elements_and_nothing_clears_one() {
    for length in [4, 1020, 1024, 1028, 40_000] {
        let x = Array::random(&[length], 160);
        let mut cleared = x.clone();
        cleared.data[0] = 0.0;
        check(&format!("copy {length}"), &[&x], &[&x, &cleared], EXACT, |rec, inputs| {
            let z = rec.transient("z", [length]);
            roof::copy(rec, inputs[0], z)?;
            let again = rec.transient("again", [length]);
            roof::copy(rec, z, again)?;
            roof::nothing(rec, again)?;
            Ok(vec![z, again])
        });
    }
}

#[test]
fn unsupported_lengths_and_chains_are_refused() {
    let context = contexts().next().unwrap();
    let mut rec = Recorder::new(context);
    let [odd, even] = [255, 256].map(|length| rec.transient("t", [length]));
    let is_refused = |result, word: &str| match result {
        Err(error @ Error::Argument { .. }) => assert!(error.to_string().contains(word), "{error}"),
        other => panic!("{word}: {other:?}"),
    };
    is_refused(roof::multiply_add(&mut rec, Arithmetic::Single, 12, 1, odd), "multiple of 256");
    is_refused(roof::multiply_add(&mut rec, Arithmetic::Single, 10, 1, even), "[8, 12, 16]");
    is_refused(roof::copy(&mut rec, even, odd), "multiple of 4");
    let longer = rec.transient("longer", [260]);
    is_refused(roof::copy(&mut rec, even, longer), "as long as z");
}
