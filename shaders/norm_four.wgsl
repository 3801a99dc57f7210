// norm_four: the passes of norm.wgsl for planes whose pixel count is a multiple of 4, so that no vec4 spans two planes.
#import lib/four.wgsl
#import lib/norm.wgsl
#import lib/reduce.wgsl
