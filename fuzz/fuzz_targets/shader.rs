//! Imports and constants of kernels: any value of any constant, known or not.

#![no_main]

use impasto::internal::{Kernel, Value, expand, kernels};
use std::sync::LazyLock;

static KERNELS: LazyLock<Vec<Kernel>> = LazyLock::new(kernels);

libfuzzer_sys::fuzz_target!(|choice: (u16, Vec<(u8, i32)>)| {
    let (number, changes) = choice;
    let mut kernel = KERNELS[usize::from(number) % KERNELS.len()].clone();
    let count = kernel.constants.len();
    for (which, value) in changes {
        let value = match which % 3 {
            0 => Value::U32(value as u32),
            1 => Value::I32(value),
            _ => Value::Bool(value % 2 == 0),
        };
        match usize::from(which) % (count + 1) {
            index if index < count => kernel.constants[index].1 = value,
            _ => kernel = kernel.set("UNKNOWN", value),
        }
    }
    if let Ok(text) = expand(&kernel) {
        assert!(!text.lines().any(|line| line.starts_with("#import")));
    }
});
