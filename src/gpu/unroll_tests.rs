use naga::valid::Validator;
use naga::{Block, Function, Module, Statement, TypeInner};

use super::unroll;
use crate::gpu::kernel::CAPABILITIES;
use crate::gpu::split_arrays::split_arrays;

/// The function `f` of the module after both passes, which must leave it valid.
fn rewritten(body: &str) -> (Module, usize) {
    let text = format!(
        "var<private> seen: array<f32, 64>;
        const N: u32 = 4u;
        fn f(start: u32, x: f32) -> f32 {{ {body} }}
        @compute @workgroup_size(1) fn main() {{ seen[0] = f(1u, 2.0); }}"
    );
    let mut module = naga::front::wgsl::parse_str(&text).expect("parses");
    unroll(&mut module).expect("unrolls");
    split_arrays(&mut module).expect("splits");
    naga::compact::compact(&mut module, naga::compact::KeepUnused::No);
    let validated = Validator::new(Default::default(), CAPABILITIES).validate(&module);
    validated.unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)));
    let function = module.functions.iter().position(|(_, f)| f.name.as_deref() == Some("f")).expect("is used");
    (module, function)
}

fn count(block: &Block, is: &impl Fn(&Statement) -> bool) -> usize {
    let inner = |statement: &Statement| match statement {
        Statement::Block(inner) => count(inner, is),
        Statement::If { accept, reject, .. } => count(accept, is) + count(reject, is),
        Statement::Loop { body, continuing, .. } => count(body, is) + count(continuing, is),
        _ => 0,
    };
    block.iter().map(|statement| usize::from(is(statement)) + inner(statement)).sum()
}

/// Loops, stores and arrays that are left of a function.
fn left(body: &str) -> [usize; 3] {
    let (module, function) = rewritten(body);
    let function: &Function = module.functions.iter().nth(function).expect("exists").1;
    let arrays = function.local_variables.iter();
    let arrays = arrays.filter(|(_, variable)| matches!(module.types[variable.ty].inner, TypeInner::Array { .. }));
    let loops = count(&function.body, &|statement| matches!(statement, Statement::Loop { .. }));
    [loops, count(&function.body, &|statement| matches!(statement, Statement::Store { .. })), arrays.count()]
}

#[test]
fn arrays_in_registers_become_variables() {
    let body = "var s: array<array<f32, 3>, N>;
        for (var i = 0u; i < N; i++) { for (var j = 0u; j < 3u; j++) { s[i][j] += x * f32(i + j); } }
        var sum = 0.0;
        for (var e = 0u; e < 3u * N; e++) { sum += s[e / 3u][e % 3u]; }
        return sum;";
    assert_eq!(left(body), [0, 24, 0]);
}

#[test]
fn other_loops_stay() {
    // An index into other memory, an unknown number of turns, a way out, and too many turns.
    assert_eq!(left("for (var i = 0u; i < N; i++) { seen[i] = x; } return x;")[0], 1);
    let sums = |header: &str, exit: &str| {
        left(&format!("var s: array<f32, 99>; for ({header}) {{ {exit} s[i] = x; }} return s[2];"))
    };
    assert_eq!(sums("var i = start; i < N; i++", "")[0], 1);
    assert_eq!(sums("var i = 0u; i < start; i++", "")[0], 1);
    assert_eq!(sums("var i = 0u; i < N; i++", "if (x > 1.0) { break; }")[0], 1);
    assert_eq!(sums("var i = 0u; i < N; i++", "if (x > 1.0) { continue; }")[0], 1);
    assert_eq!(sums("var i = 0u; i < 99u; i++", "")[0], 1);
    assert_eq!(sums("var i = 0u; i < N; i++", ""), [0, 4, 0]);
}

#[test]
fn branches_on_known_values_are_taken() {
    let body = "var s: array<f32, N>;
        for (var i = 0u; i < N; i++) { if (i > 0u && i + 1u < N) { s[i + 1u] = x; } else { s[0] = -x; } }
        return s[3];";
    let (module, function) = rewritten(body);
    let function = module.functions.iter().nth(function).expect("exists").1;
    assert_eq!(count(&function.body, &|statement| matches!(statement, Statement::If { .. })), 0);
    assert_eq!(left(body), [0, 4, 0]);
}

/// A value that a loop or a branch may have changed is not known.
#[test]
fn values_are_forgotten_where_they_may_change() {
    let body = "var s: array<f32, 8>; var n = 2u;
        for (var k = start; k < 9u; k++) { n += 1u; }
        for (var i = 0u; i < n; i++) { s[i] = x; }
        return s[0];";
    assert_eq!(left(body)[0], 2);
    let body = "var s: array<f32, 8>; var n = 2u;
        if (x > 1.0) { n = 3u; }
        for (var i = 0u; i < n; i++) { s[i] = x; }
        return s[0];";
    assert_eq!(left(body)[0], 1);
}

/// An array that is passed on as a whole, or indexed by an unknown value, stays one.
#[test]
fn arrays_that_are_used_as_a_whole_stay() {
    assert_eq!(left("var s: array<f32, 4>; s[start] = x; return s[1];")[2], 1);
    assert_eq!(left("var s: array<f32, 4>; s[1] = x; var t = s; return t[1];")[2], 2);
    assert_eq!(left("var s = array<f32, 2>(x, 1.0); s[1] = x; return s[0];")[2], 0);
    // Zeroed anew in every turn of a loop that stays.
    let body = "var sum = 0.0;
        for (var k = 0u; k < start; k++) { var s: array<f32, 2>; s[k % 1u] = 0.0; s[0] += x; sum += s[0] + s[1]; }
        return sum;";
    assert_eq!(left(body)[0], 1);
}

/// A loop of 64 turns is unrolled, one of 65 is not. A function that would have more than 50,000 expressions stays as it
/// is, with all of its loops.
#[test]
fn large_loops_and_functions_stay() {
    let once = |turns: usize| format!("for (var i = 0u; i < {turns}u; i++) {{ s[i] = x; }}");
    let sums = |loops: &str| left(&format!("var s: array<f32, 65>; {loops} return s[2];"));
    assert_eq!(sums(&once(64)), [0, 64, 0]);
    assert_eq!(sums(&once(65))[0], 1);
    let nested = |turns: usize| {
        let body = "s[i] = s[j] * x + s[i]; s[j] = s[i] * x - s[j];";
        format!("for (var i = 0u; i < 64u; i++) {{ for (var j = 0u; j < {turns}u; j++) {{ {body} }} }}")
    };
    // Some 15 expressions in each of 64 · 32 turns, and in each of 64 · 64.
    assert_eq!(sums(&nested(32))[0], 0);
    let [loops, _, arrays] = sums(&format!("{} {}", once(4), nested(64)));
    assert_eq!([loops, arrays], [3, 1]);
}
