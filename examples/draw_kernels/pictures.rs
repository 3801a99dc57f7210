//! One picture for each family of kernels. Sizes are read from the kernels' constants.

use impasto::internal::{Kernel, expand};

use crate::svg::{BLUE, DEEP, GREEN, ORANGE, PALE, Svg};

/// A `const` of a kernel file, which is a plain number there.
fn constant(shader: &'static str, name: &str) -> usize {
    let text = expand(&Kernel::new(shader, "")).expect("a kernel file");
    let start = format!("const {name}: u32 = ");
    let line = text.lines().find_map(|line| line.strip_prefix(start.as_str())).expect("a constant of the file");
    line.split('u').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// The pictures by the names of their files.
pub fn all() -> Vec<(&'static str, Svg)> {
    vec![
        ("direct", direct()),
        ("broadcast", broadcast()),
        ("tiled", tiled()),
        ("winograd", winograd()),
        ("weights", weights()),
        ("gram", gram()),
        ("norm", norm()),
        ("pointwise", pointwise()),
    ]
}

fn direct() -> Svg {
    let (channels, taps, pixels) = (16, 3, 4); // of a thread, for 3×3 taps
    let seen = taps + pixels - 1;
    let mut svg = Svg::new(900.0, 330.0);
    svg.text(
        [20.0, 25.0],
        &format!(
            "x: C planes. For each channel and row of {taps} taps, a thread loads the inputs of its {pixels} pixels once."
        ),
    );
    for plane in (0..4).rev() {
        let shift = 10.0 * f64::from(plane);
        svg.grid([30.0 + shift, 50.0 + shift, 200.0, 160.0], [20, 16], PALE);
    }
    svg.grid([90.0, 110.0, 10.0 * seen as f64, 10.0], [seen, 1], DEEP);
    svg.arrow([275.0, 115.0], [310.0, 115.0]);
    svg.text([320.0, 60.0], &format!("{seen} loaded inputs; each tap\nuses {pixels} of them"));
    svg.grid([320.0, 106.0, 20.0 * seen as f64, 18.0], [seen, 1], DEEP);
    for tap in 0..taps {
        let y = 140.0 + 30.0 * tap as f64;
        svg.grid([320.0, y, 20.0 * seen as f64, 18.0], [seen, 1], PALE);
        svg.grid([320.0 + 20.0 * tap as f64, y, 20.0 * pixels as f64, 18.0], [pixels, 1], BLUE);
        svg.text([448.0, y + 14.0], &format!("tap {tap}"));
    }
    svg.text([500.0, 180.0], "×");
    svg.text(
        [525.0, 60.0],
        &format!("weights: {channels} channels ×\n{taps} taps, the same for all\nthreads (scalar loads)"),
    );
    svg.grid([525.0, 110.0, 20.0 * taps as f64, 160.0], [taps, channels], ORANGE);
    svg.arrow([600.0, 185.0], [690.0, 185.0]);
    svg.text(
        [700.0, 60.0],
        &format!(
            "registers of a thread:\n{channels} channels × {pixels} pixels,\n{} multiply-adds for {seen} loads",
            channels * pixels * taps
        ),
    );
    svg.grid([700.0, 110.0, 100.0, 160.0], [pixels, channels], GREEN);
    svg.text([20.0, 310.0], "conv2d.wgsl:direct. No workgroup memory, no barriers, no branches around loads.");
    svg
}

fn broadcast() -> Svg {
    let tile = constant("conv2d_broadcast.wgsl", "TILE");
    let mut svg = Svg::new(860.0, 330.0);
    svg.text([20.0, 25.0], &format!("8 lanes load {tile} weights at once, 4 each; subgroupBroadcast hands them round"));
    for lane in 0..8 {
        let x = 30.0 + 95.0 * f64::from(lane);
        svg.grid([x, 45.0, 80.0, 22.0], [4, 1], ORANGE);
        svg.text([x + 18.0, 85.0], &format!("lane {lane}"));
    }
    for lane in 0..8 {
        let x = 30.0 + 95.0 * f64::from(lane);
        svg.arrow([x + 40.0, 95.0], [410.0, 125.0]);
    }
    svg.text([20.0, 150.0], "each lane: 4 neighbouring pixels (one vec4), the same weights");
    svg.grid([30.0, 165.0, 760.0, 24.0], [32, 1], BLUE);
    for lane in 0..9 {
        let x = 30.0 + 95.0 * f64::from(lane);
        svg.line([x, 160.0], [x, 195.0], 2.0);
    }
    svg.arrow([77.0, 195.0], [77.0, 225.0]);
    svg.text([130.0, 240.0], &format!("registers of a lane:\n{tile} channels × 4 pixels"));
    svg.grid([50.0, 230.0, 60.0, 72.0], [4, 8], GREEN);
    svg.text([330.0, 240.0], "A load is a loop over the lanes on a software adapter, about 100 cycles,\nso one load of weights serves 32 channels and one of pixels 4 of them.\nx is padded beforehand (pad.wgsl): no border code.");
    svg
}

fn tiled() -> Svg {
    let [m, n, k] = ["TILE_M", "TILE_N", "TILE_K"].map(|name| constant("conv2d.wgsl", name));
    let [thread_m, thread_n] = ["THREAD_M", "THREAD_N"].map(|name| constant("conv2d.wgsl", name));
    let mut svg = Svg::new(900.0, 470.0);
    svg.text(
        [20.0, 25.0],
        "Implicit matrix product: M = output channels, N = pixels, K = input channels of one tap at a time",
    );
    svg.rect([40.0, 200.0, 120.0, 200.0], PALE).text([40.0, 192.0], "weights, M × K");
    svg.rect([40.0, 260.0, 30.0, 60.0], ORANGE);
    svg.rect([230.0, 60.0, 380.0, 100.0], PALE).text([230.0, 52.0], "x, K × N (never written to memory as a matrix)");
    svg.rect([330.0, 60.0, 120.0, 26.0], BLUE);
    svg.rect([230.0, 200.0, 380.0, 200.0], PALE).text([230.0, 418.0], "y, M × N");
    svg.rect([330.0, 260.0, 120.0, 60.0], GREEN);
    svg.text([335.0, 295.0], &format!("{m} × {n}"));
    svg.text([462.0, 285.0], "a workgroup's tile");
    svg.text([462.0, 80.0], &format!("{k} channels × {n} pixels,\nstaged in workgroup memory"));
    svg.text([40.0, 340.0], &format!("{m} × {k},\nstaged"));
    svg.arrow([85.0, 290.0], [322.0, 290.0]).arrow([390.0, 95.0], [390.0, 252.0]);
    svg.text([660.0, 180.0], "one thread, one k:");
    svg.grid([660.0, 240.0, 20.0, 160.0], [1, thread_m], ORANGE);
    svg.grid([700.0, 200.0, 120.0, 20.0], [thread_n, 1], BLUE);
    svg.grid([700.0, 240.0, 120.0, 160.0], [thread_n, thread_m], GREEN);
    let (loads, products) = (thread_m + thread_n, thread_m * thread_n);
    svg.text([660.0, 425.0], &format!("{loads} values from workgroup memory,\n{products} multiply-adds in registers"));
    svg.text([20.0, 455.0], "conv2d.wgsl:forward, with the sizes for 33 to 64 output channels");
    svg
}

fn winograd() -> Svg {
    let mut svg = Svg::new(900.0, 300.0);
    svg.text([20.0, 25.0], "F(4×4, 3×3): 36 products for 16 outputs and a channel, instead of 144");
    svg.grid([30.0, 60.0, 120.0, 120.0], [6, 6], BLUE).text([30.0, 200.0], "d: 6×6 of x, every 4 pixels");
    svg.arrow([160.0, 120.0], [240.0, 120.0]).text([170.0, 110.0], "Bᵀ d B");
    svg.text([30.0, 225.0], "winograd_4:input");
    for element in (0..5).rev() {
        let shift = 9.0 * f64::from(element);
        svg.rect([255.0 + shift, 60.0 + shift, 110.0, 80.0], BLUE);
    }
    svg.text([255.0, 200.0], "36 matrices C × tiles");
    svg.text([415.0, 105.0], "×");
    for element in (0..5).rev() {
        let shift = 9.0 * f64::from(element);
        svg.rect([440.0 + shift, 60.0 + shift, 60.0, 80.0], ORANGE);
    }
    svg.text([440.0, 200.0], "36 of weights, M × C");
    svg.text([440.0, 225.0], "winograd_4:weights: G g Gᵀ");
    svg.arrow([560.0, 120.0], [640.0, 120.0]).text([565.0, 108.0], "sums over C");
    svg.text([255.0, 225.0], "products: conv2d:forward");
    svg.grid([650.0, 60.0, 120.0, 120.0], [6, 6], GREEN);
    svg.arrow([775.0, 120.0], [805.0, 120.0]);
    svg.grid([810.0, 80.0, 80.0, 80.0], [4, 4], GREEN);
    svg.text([650.0, 200.0], "36 sums of a tile → Aᵀ m A: 4×4 of y");
    svg.text([650.0, 225.0], "winograd_4:output, with bias and ReLU");
    svg.text([20.0, 275.0], "On a GPU a thread transforms one tile; on a software adapter four, one in each component of a vec4. Bands bound the memory.");
    svg
}

fn weights() -> Svg {
    let names = ["TILE_M", "TILE_N", "SIDE_M", "SIDE_N", "DEPTH"];
    let [tile_m, tile_n, side_m, side_n, depth] = names.map(|name| constant("conv2d_weights.wgsl", name));
    let mut svg = Svg::new(900.0, 400.0);
    svg.text([20.0, 25.0], "dw = Σ over pixels of dy · x: a matrix product whose long side is the sum");
    svg.rect([40.0, 150.0, 330.0, 120.0], PALE).text([40.0, 142.0], "dy, M × pixels");
    svg.rect([540.0, 50.0, 120.0, 280.0], PALE).text([540.0, 348.0], "x with its border, pixels × C·taps");
    for run in 0..4 {
        let x = 40.0 + 82.5 * f64::from(run);
        svg.line([x, 150.0], [x, 270.0], 2.0);
        let y = 50.0 + 70.0 * f64::from(run);
        svg.line([540.0, y], [660.0, y], 2.0);
    }
    svg.rect([122.5, 180.0, 20.0, 45.0], ORANGE).rect([560.0, 120.0, 45.0, 18.0], BLUE);
    svg.text(
        [40.0, 295.0],
        &format!(
            "runs of pixels: one for each workgroup along z;\n{depth} pixels of {tile_m} channels are staged at a time"
        ),
    );
    svg.rect([720.0, 130.0, 120.0, 120.0], PALE).rect([745.0, 160.0, 45.0, 45.0], GREEN);
    svg.text([720.0, 122.0], "dw of a run, M × C·taps")
        .text([720.0, 268.0], &format!("{tile_m} × {tile_n} of a workgroup,\n{side_m} × {side_n} of a thread"));
    svg.arrow([380.0, 210.0], [530.0, 210.0]).arrow([670.0, 190.0], [712.0, 190.0]);
    svg.text(
        [20.0, 385.0],
        "finish adds the runs in a fixed order (no float atomics), so that the same inputs give the same bits.",
    );
    svg
}

fn gram() -> Svg {
    let [tile, side, depth] = ["TILE", "SIDE", "DEPTH"].map(|name| constant("gram.wgsl", name));
    let mut svg = Svg::new(920.0, 360.0);
    svg.text([20.0, 25.0], "G = s · F Fᵀ, F: C channels × P pixels");
    svg.rect([40.0, 60.0, 360.0, 160.0], PALE).text([40.0, 52.0], "F");
    svg.rect([140.0, 80.0, 24.0, 32.0], ORANGE).rect([140.0, 150.0, 24.0, 32.0], BLUE);
    for run in 1..4 {
        let x = 40.0 + 90.0 * f64::from(run);
        svg.line([x, 60.0], [x, 220.0], 2.0);
    }
    let staged = format!("staged: {tile} channels i and {tile} channels j, {depth} pixels of each");
    svg.text([40.0, 240.0], &format!("runs of pixels, a workgroup each;\n{staged}"));
    svg.arrow([410.0, 140.0], [480.0, 140.0]);
    svg.grid([490.0, 60.0, 160.0, 160.0], [5, 5], PALE);
    for i in 0..5 {
        for j in i..5 {
            svg.rect([490.0 + 32.0 * j as f64, 60.0 + 32.0 * i as f64, 32.0, 32.0], GREEN);
        }
    }
    svg.text([490.0, 240.0], &format!("tiles of {tile} × {tile} on and above\nthe diagonal"));
    svg.text([700.0, 40.0], "one thread, one pixel:");
    svg.grid([700.0, 84.0, 18.0, 136.0], [1, side], ORANGE);
    svg.grid([724.0, 60.0, 136.0, 18.0], [side, 1], BLUE);
    svg.grid([724.0, 84.0, 136.0, 136.0], [side, side], GREEN);
    let (loads, products) = (2 * side, side * side);
    svg.text([700.0, 240.0], &format!("{loads} values from workgroup memory,\n{products} multiply-adds in registers"));
    svg.text([20.0, 305.0], "finish adds the runs in a fixed order and mirrors the tiles.");
    svg.text(
        [20.0, 330.0],
        "The gradient is a 1×1 convolution of F with s · (dG + dGᵀ): the kernels of convolutions compute it.",
    );
    svg
}

fn norm() -> Svg {
    let lanes = constant("lib/reduce.wgsl", "REDUCE_SIZE");
    let mut svg = Svg::new(860.0, 320.0);
    svg.text([20.0, 25.0], "Two passes over a plane: moments of runs, then the affine map. A run is one workgroup.");
    svg.grid([40.0, 50.0, 640.0, 30.0], [8, 1], BLUE).text([690.0, 70.0], "x, a plane in runs");
    for run in 0..8 {
        let x = 80.0 + 80.0 * f64::from(run);
        svg.arrow([x, 85.0], [x, 115.0]).rect([x - 30.0, 120.0, 60.0, 24.0], ORANGE);
    }
    svg.text([690.0, 137.0], "count, mean, Σ (x − mean)²");
    for run in 0..8 {
        svg.arrow([80.0 + 80.0 * f64::from(run), 148.0], [360.0, 185.0]);
    }
    svg.rect([300.0, 190.0, 120.0, 26.0], GREEN)
        .text([312.0, 208.0], "μ, v of the plane")
        .text([440.0, 208.0], "merged in a fixed order: no cancellation");
    svg.arrow([360.0, 220.0], [360.0, 248.0]);
    svg.grid([40.0, 252.0, 640.0, 24.0], [8, 1], PALE).text([690.0, 268.0], "y = γ (x − μ)/√(v + ε) + β");
    svg.text(
        [20.0, 305.0],
        &format!("A workgroup of {lanes} threads reduces a run by halves in workgroup memory (lib/reduce.wgsl)."),
    );
    svg
}

fn pointwise() -> Svg {
    let mut svg = Svg::new(860.0, 300.0);
    svg.text([20.0, 25.0], "One thread writes one vec4 (or one element where widths are no multiples of four)");
    svg.grid([40.0, 50.0, 320.0, 24.0], [32, 1], BLUE);
    for thread in 0..9 {
        let x = 40.0 + 40.0 * f64::from(thread);
        svg.line([x, 45.0], [x, 80.0], 2.0);
    }
    svg.arrow([200.0, 85.0], [200.0, 115.0]);
    svg.grid([40.0, 120.0, 320.0, 24.0], [32, 1], GREEN)
        .text([375.0, 66.0], "x")
        .text([375.0, 136.0], "y: neighbouring threads, neighbouring addresses");
    svg.grid([40.0, 180.0, 96.0, 96.0], [8, 8], BLUE);
    svg.rect([64.0, 204.0, 24.0, 24.0], ORANGE);
    svg.arrow([150.0, 228.0], [210.0, 228.0]);
    svg.grid([220.0, 204.0, 48.0, 48.0], [4, 4], GREEN).text(
        [285.0, 215.0],
        "pool: a thread owns a window, also in the gradient,\nso no two threads write one element",
    );
    svg
}
