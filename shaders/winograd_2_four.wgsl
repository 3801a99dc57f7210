// winograd_2_four: F(2×2, 3×3), a quad per thread.
#import lib/border.wgsl
#import lib/epilogue.wgsl
#import lib/four.wgsl
#import lib/index.wgsl
#import lib/load.wgsl
#import lib/winograd.wgsl
#import lib/winograd_2.wgsl
#import lib/winograd_four.wgsl
#import lib/winograd_rows.wgsl

fn four_of(row: Side, f: u32) -> vec4<f32> {
    return vec4<f32>(row[0][2u * f], row[1][2u * f], row[0][2u * f + 1u], row[1][2u * f + 1u]);
}
