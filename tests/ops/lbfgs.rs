//! The passes over L-BFGS's history, and the storing of a row.

use impasto::internal::cases::vectors;

use crate::harness::check_case;

#[test]
fn matches_the_oracle() {
    for (rows, elements) in
        [(1, 1), (2, 63), (3, 64), (7, 65), (20, 127), (5, 4095), (4, 4096), (3, 4097), (2, 64 * 4096 + 1)]
    {
        check_case(&vectors::history(rows, elements));
    }
}
