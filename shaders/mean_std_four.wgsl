// mean_std_four: mean_std.wgsl over planes whose pixels come in fours, so that no four lies in two of them.
#import lib/four.wgsl
#import lib/mean_std.wgsl
#import lib/reduce.wgsl
