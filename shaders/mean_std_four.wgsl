// mean_std_four: mean_std.wgsl for planes whose pixel count is a multiple of 4, so that no vec4 spans two planes.
#import lib/four.wgsl
#import lib/mean_std.wgsl
#import lib/reduce.wgsl
