// norm_four: the passes of norm.wgsl over planes whose pixels come in fours, so that no four lies in two of them.
#import lib/four.wgsl
#import lib/norm.wgsl
#import lib/reduce.wgsl
