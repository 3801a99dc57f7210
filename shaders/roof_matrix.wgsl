// roof_matrix: peak throughput of cooperative matrices. Chains of multiply-adds S = L·R + S, eight times per round, in
// four independent chains per subgroup. All elements of L are 1/MATRIX_K and those of R 1/64, so after r rounds every
// element of S is r/8.
// out: f32[4·MATRIX_M·MATRIX_N·workgroups], the four S of each workgroup
enable f16;
enable wgpu_cooperative_matrix;
#import lib/matrix.wgsl
const AREA: u32 = MATRIX_M * MATRIX_N;

struct Params {
    rounds: u32,
}

var<uniform> params: Params;
var<storage, read_write> out: array<f32>;

var<workgroup> left: array<f16, MATRIX_M * MATRIX_K>;
var<workgroup> right: array<f16, MATRIX_K * MATRIX_N>;
var<workgroup> sums: array<f32, 4u * AREA>;

@compute @workgroup_size(LANES)
fn multiply_add(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var e = lane; e < MATRIX_M * MATRIX_K; e += LANES) {
        left[e] = f16(1.0 / f32(MATRIX_K));
    }
    for (var e = lane; e < MATRIX_K * MATRIX_N; e += LANES) {
        right[e] = f16(1.0 / 64.0);
    }
    workgroupBarrier();
    let a = coopLoad<Left>(&left[0], MATRIX_M);
    let b = coopLoad<Right>(&right[0], MATRIX_K);
    var s0: Sum;
    var s1: Sum;
    var s2: Sum;
    var s3: Sum;
    for (var round = 0u; round < params.rounds; round++) {
        for (var repeat = 0u; repeat < 8u; repeat++) {
            s0 = coopMultiplyAdd(a, b, s0);
            s1 = coopMultiplyAdd(a, b, s1);
            s2 = coopMultiplyAdd(a, b, s2);
            s3 = coopMultiplyAdd(a, b, s3);
        }
    }
    coopStore(s0, &sums[0], MATRIX_M);
    coopStore(s1, &sums[AREA], MATRIX_M);
    coopStore(s2, &sums[2u * AREA], MATRIX_M);
    coopStore(s3, &sums[3u * AREA], MATRIX_M);
    workgroupBarrier();
    for (var e = lane; e < 4u * AREA; e += LANES) {
        out[workgroup.x * 4u * AREA + e] = sums[e];
    }
}
