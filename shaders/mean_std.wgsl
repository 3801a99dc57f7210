// mean_std: mean and standard deviation of every (n, c) plane of P = H·W pixels (arXiv:1703.06868 §3).
//   μ = Σx/P      σ = √(Σ(x−μ)²/P + ε)
//   dx = dμ/P + dσ·(x−μ)/(σ·P)
// x, dx: f32[N,C,H,W]   mean (μ), deviation (σ; WGSL reserves `std`), dmean, dstd: f32[N,C]
// dispatch [C, N, 1]: one workgroup per plane
#import lib/mean_std.wgsl
#import lib/one.wgsl
#import lib/reduce.wgsl
