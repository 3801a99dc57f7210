//! Windows of feature maps.

use impasto::gpu::{DeviceTensor, Precision, Recorder};
use impasto::internal::cases::features;
use impasto::ops::vector;
use impasto::ops::window::{self, Window};

use crate::harness::{check_case, contexts, has_half};

#[test]
fn windows_match_the_oracle() {
    for (shape, size, at) in [
        ([1, 1, 1, 1], [1, 1], [0, 0]),
        ([1, 3, 9, 70], [4, 66], [5, 3]),
        ([2, 2, 16, 8], [8, 8], [8, 0]),
        ([1, 3, 5, 7], [5, 1], [0, 6]),
    ] {
        check_case(&features::window(shape, size, at, Precision::F32));
        if has_half() {
            check_case(&features::window(shape, size, at, Precision::F16));
        }
    }
}

/// One program reads every part of a picture in turn.
#[test]
fn a_window_moves_between_runs() {
    for context in contexts() {
        let values: Vec<f32> = (0..30).map(|value| value as f32).collect();
        let picture = DeviceTensor::from_values(context, "picture", [1, 1, 5, 6], &values).unwrap();
        let mut rec = Recorder::new(context);
        let x = rec.pin(&picture);
        let window = Window::new(&mut rec, [5, 6], [2, 3], [0, 0]).unwrap();
        let part = window::cut(&mut rec, x, window).unwrap();
        let part = rec.output(part).unwrap();
        let program = rec.finish().unwrap();
        for [row, column] in [[0, 0], [3, 3], [1, 2]] {
            window.place(&program, [row, column]).unwrap();
            program.run().unwrap();
            let at = |i: usize, j: usize| (6 * (row + i) + column + j) as f32;
            let wanted = [at(0, 0), at(0, 1), at(0, 2), at(1, 0), at(1, 1), at(1, 2)];
            assert_eq!(part.read().unwrap(), wanted);
        }
        assert!(window.place(&program, [4, 0]).is_err() && window.place(&program, [0, 4]).is_err());
    }
}

/// Sections run alone, and share the memory of their transients.
#[test]
fn sections_run_alone() {
    for context in contexts() {
        let sum = DeviceTensor::from_values(context, "sum", [1024], &[0.0; 1024]).unwrap();
        let record = |sections: usize| {
            let mut rec = Recorder::new(context);
            let z = rec.pin(&sum);
            let mut first = None;
            for section in 0..sections {
                assert_eq!(rec.section(), section);
                let x = rec.transient("addend", [1024]);
                vector::fill(&mut rec, x, 10f32.powi(section as i32)).unwrap();
                vector::axpy(&mut rec, 1.0, x, z).unwrap();
                first.get_or_insert(x);
            }
            (rec, first.unwrap(), z)
        };
        let program = record(2).0.finish().unwrap();
        for section in [1, 0, 1] {
            program.submit_section(section).unwrap();
        }
        assert_eq!(sum.read().unwrap(), [21.0; 1024]);
        program.run().unwrap();
        assert_eq!(sum.read().unwrap(), [32.0; 1024]);
        let bytes = |sections| record(sections).0.memory().unwrap().peak_bytes();
        assert!(bytes(2) < bytes(1) + 4096, "{} {}", bytes(2), bytes(1));
        let (mut rec, first, z) = record(2);
        assert!(vector::axpy(&mut rec, 1.0, first, z).is_err(), "a transient of another section");
    }
}
