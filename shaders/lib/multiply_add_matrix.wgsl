// Chains of multiply-adds of cooperative matrices: S = A·B + S, eight times per round, in four independent chains per
// subgroup. All elements of A are 1/SIDE and those of B 1/64, so after r rounds every element of S is r/8.
// out: f32[4·SIDE²·workgroups], the four S of each workgroup
const LANES: u32 = 32u; // most lanes of a subgroup

struct Params {
    rounds: u32,
}

var<uniform> params: Params;
var<storage, read_write> out: array<f32>;

var<workgroup> left: array<f16, SIDE * SIDE>;
var<workgroup> right: array<f16, SIDE * SIDE>;
var<workgroup> sums: array<f32, 4u * SIDE * SIDE>;

@compute @workgroup_size(LANES)
fn multiply_add(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var e = lane; e < SIDE * SIDE; e += LANES) {
        left[e] = f16(1.0 / f32(SIDE));
        right[e] = f16(1.0 / 64.0);
    }
    workgroupBarrier();
    let a = coopLoad<Left>(&left[0], SIDE);
    let b = coopLoad<Right>(&right[0], SIDE);
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
    coopStore(s0, &sums[0], SIDE);
    coopStore(s1, &sums[SIDE * SIDE], SIDE);
    coopStore(s2, &sums[2u * SIDE * SIDE], SIDE);
    coopStore(s3, &sums[3u * SIDE * SIDE], SIDE);
    workgroupBarrier();
    for (var e = lane; e < 4u * SIDE * SIDE; e += LANES) {
        out[workgroup.x * 4u * SIDE * SIDE + e] = sums[e];
    }
}
