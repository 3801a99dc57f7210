//! Tests of every operation, forward and backward, against the f64 oracles of src/reference: for both kernel classes,
//! with checked and unchecked shaders, with outputs that held NaN before, and with the same bits in every run. Invalid
//! arguments give errors that name them.

#[path = "ops/harness.rs"]
mod harness;

#[path = "ops/clip.rs"]
mod clip;
#[path = "ops/conv2d.rs"]
mod conv2d;
#[path = "ops/conv_transpose2d.rs"]
mod conv_transpose2d;
#[path = "ops/errors.rs"]
mod errors;
#[path = "ops/gram.rs"]
mod gram;
#[path = "ops/half.rs"]
mod half;
#[path = "ops/lbfgs.rs"]
mod lbfgs;
#[path = "ops/load.rs"]
mod load;
#[path = "ops/losses.rs"]
mod losses;
#[path = "ops/mean_std.rs"]
mod mean_std;
#[path = "ops/norm.rs"]
mod norm;
#[path = "ops/not_a_number.rs"]
mod not_a_number;
#[path = "ops/pad.rs"]
mod pad;
#[path = "ops/pool.rs"]
mod pool;
#[path = "ops/regions.rs"]
mod regions;
#[path = "ops/relu.rs"]
mod relu;
#[path = "ops/resample.rs"]
mod resample;
#[path = "ops/roof.rs"]
mod roof;
#[path = "ops/rows.rs"]
mod rows;
#[path = "ops/steady.rs"]
mod steady;
#[path = "ops/tanh.rs"]
mod tanh;
#[path = "ops/vector.rs"]
mod vector;
#[path = "ops/window.rs"]
mod window;

use impasto::internal::reference;
