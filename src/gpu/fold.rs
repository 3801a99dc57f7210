//! Values of integer and boolean expressions whose operands are known. Arithmetic wraps, as WGSL's does.

use naga::{BinaryOperator as Op, Expression, Handle, Literal, Module, ScalarKind, UnaryOperator};

/// The value of an expression that is a literal or a `const`.
pub(super) fn constant(module: &Module, expression: &Expression) -> Option<Literal> {
    let literal = match expression {
        Expression::Constant(constant) => match module.global_expressions[module.constants[*constant].init] {
            Expression::Literal(literal) => literal,
            _ => return None,
        },
        Expression::Literal(literal) => *literal,
        _ => return None,
    };
    matches!(literal, Literal::Bool(_) | Literal::U32(_) | Literal::I32(_)).then_some(literal)
}

/// A value as an index.
pub(super) fn index(value: Literal) -> Option<u32> {
    match value {
        Literal::U32(value) => Some(value),
        Literal::I32(value) => u32::try_from(value).ok(),
        _ => None,
    }
}

/// The value of an expression whose operands have the values `value`; `None` if they are not all known, for a division
/// by zero, and for any kind of expression that does not occur in the indices of kernels.
pub(super) fn fold(expression: &Expression, value: impl Fn(Handle<Expression>) -> Option<Literal>) -> Option<Literal> {
    match *expression {
        Expression::Binary { op, left, right } => match (value(left)?, value(right)?) {
            (Literal::U32(a), Literal::U32(b)) => unsigned(op, a, b),
            (Literal::I32(a), Literal::I32(b)) => signed(op, a, b),
            (Literal::Bool(a), Literal::Bool(b)) => boolean(op, a, b).map(Literal::Bool),
            _ => None,
        },
        Expression::Unary { op, expr } => match (op, value(expr)?) {
            (UnaryOperator::Negate, Literal::I32(a)) => Some(Literal::I32(a.wrapping_neg())),
            (UnaryOperator::LogicalNot, Literal::Bool(a)) => Some(Literal::Bool(!a)),
            _ => None,
        },
        Expression::As { expr, kind, convert: Some(4) } => match (kind, value(expr)?) {
            (ScalarKind::Uint, Literal::I32(a)) => Some(Literal::U32(a as u32)),
            (ScalarKind::Sint, Literal::U32(a)) => Some(Literal::I32(a as i32)),
            (ScalarKind::Uint, Literal::Bool(a)) => Some(Literal::U32(u32::from(a))),
            (ScalarKind::Sint, Literal::Bool(a)) => Some(Literal::I32(i32::from(a))),
            (ScalarKind::Uint, known @ Literal::U32(_)) | (ScalarKind::Sint, known @ Literal::I32(_)) => Some(known),
            _ => None,
        },
        Expression::Select { condition, accept, reject } => match value(condition)? {
            Literal::Bool(true) => value(accept),
            Literal::Bool(false) => value(reject),
            _ => None,
        },
        _ => None,
    }
}

fn compared<T: PartialOrd>(op: Op, a: T, b: T) -> Option<bool> {
    Some(match op {
        Op::Equal => a == b,
        Op::NotEqual => a != b,
        Op::Less => a < b,
        Op::LessEqual => a <= b,
        Op::Greater => a > b,
        Op::GreaterEqual => a >= b,
        _ => return None,
    })
}

macro_rules! arithmetic {
    ($name:ident, $integer:ty, $literal:path) => {
        fn $name(op: Op, a: $integer, b: $integer) -> Option<Literal> {
            let value = match op {
                Op::Add => a.wrapping_add(b),
                Op::Subtract => a.wrapping_sub(b),
                Op::Multiply => a.wrapping_mul(b),
                Op::Divide => a.checked_div(b)?,
                Op::Modulo => a.checked_rem(b)?,
                Op::And => a & b,
                Op::InclusiveOr => a | b,
                Op::ExclusiveOr => a ^ b,
                _ => return compared(op, a, b).map(Literal::Bool),
            };
            Some($literal(value))
        }
    };
}

arithmetic!(unsigned, u32, Literal::U32);
arithmetic!(signed, i32, Literal::I32);

fn boolean(op: Op, a: bool, b: bool) -> Option<bool> {
    Some(match op {
        Op::LogicalAnd | Op::And => a && b,
        Op::LogicalOr | Op::InclusiveOr => a || b,
        Op::Equal => a == b,
        Op::NotEqual => a != b,
        _ => return None,
    })
}
