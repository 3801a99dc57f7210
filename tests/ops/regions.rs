//! Activations weighted by masks.

use impasto::ops::regions;

use crate::harness::{EXACT, SUM, check};
use crate::reference::{Array, indices, regions as reference};

#[test]
fn masked_sum_matches_the_oracle() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 4, 8, 8], [3, 2, 37, 3]] {
        let [_, _, height, width] = shape;
        let [x, z] = [140, 141].map(|seed| Array::random(&shape, seed));
        let mask = Array::random(&[height, width], 142);
        let expected = indices(shape).map(|at @ [_, _, i, j]| z.at(at) + mask.at([i, j]) * x.at(at));
        let expected = Array::new(&shape, expected.collect());
        check(&format!("regions {shape:?}"), &[&x, &mask, &z], &[&expected], SUM, |rec, inputs| {
            let [x, mask, z] = *inputs else { unreachable!() };
            regions::add(rec, x, mask, z).map(|()| vec![z])
        });
    }
}

#[test]
fn masked_activations_match_the_oracle() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 4, 8, 8], [3, 2, 37, 3]] {
        let (x, mask) = (Array::random(&shape, 143), Array::random(&shape[2..], 144));
        let expected = reference::scale(&x, &mask);
        check(&format!("mask {shape:?}"), &[&x, &mask], &[&expected], EXACT, |rec, inputs| {
            Ok(vec![regions::scale(rec, inputs[0], inputs[1])?])
        });
    }
}
