// roof_half: the same chains of multiply-adds as in roof.wgsl, of half-precision numbers (lib/multiply_add.wgsl).
enable f16;
alias number = f16;
#import lib/multiply_add.wgsl
