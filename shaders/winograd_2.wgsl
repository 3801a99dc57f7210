// winograd_2: F(2×2, 3×3), a tile per thread.
#import lib/border.wgsl
#import lib/epilogue.wgsl
#import lib/index.wgsl
#import lib/load.wgsl
#import lib/one.wgsl
#import lib/winograd.wgsl
#import lib/winograd_2.wgsl
#import lib/winograd_one.wgsl
