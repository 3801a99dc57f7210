//! Unrolls loops over arrays that a kernel keeps in registers.
//!
//! A compiler can keep an array of a function in registers only if every index is a constant. Kernels are written as
//! loops, and drivers differ in which loops they unroll: some leave arrays of 64 accumulators in memory, which costs a
//! factor of ten. So loops whose variable takes part in the index of such an array are unrolled here, in naga's module,
//! for all drivers alike; [`split_arrays`](super::split_arrays) then replaces the arrays by variables. Integer and
//! boolean expressions of known values are computed on the way, and branches that these rule out are removed. Floating
//! point is left alone, so results keep their bits.

use std::collections::{HashMap, HashSet};

use naga::{
    Arena, Block, Expression, Function, Handle, Literal, LocalVariable, Module, Range, Span, Statement, TypeInner,
};

use super::fold;
use super::operands::{self, inner_blocks, inner_blocks_mut, local, walk};

/// The most iterations of one loop, and the most expressions of a function after unrolling. Beyond either, a loop or
/// function stays as it is.
const LONGEST: usize = 64;
const LARGEST: usize = 50_000;

/// Unrolls the loops of all functions.
///
/// # Errors
/// A kind of expression or statement that no kernel has.
pub(super) fn unroll(module: &mut Module) -> Result<(), String> {
    let mut functions = std::mem::take(&mut module.functions);
    for (_, function) in functions.iter_mut() {
        unroll_function(module, function)?;
    }
    module.functions = functions;
    let mut entries = std::mem::take(&mut module.entry_points);
    for entry in &mut entries {
        unroll_function(module, &mut entry.function)?;
    }
    module.entry_points = entries;
    Ok(())
}

fn unroll_function(module: &Module, function: &mut Function) -> Result<(), String> {
    let mut rewriter = Rewriter::new(module, function)?;
    let mut body = Block::new();
    let outcome = rewriter.block(&function.body, &mut body);
    if rewriter.new.len() > LARGEST {
        return Ok(());
    }
    outcome?;
    let Rewriter { new, moved, tracked, .. } = rewriter;
    function.named_expressions =
        function.named_expressions.drain(..).filter_map(|(old, name)| Some((moved[old.index()]?, name))).collect();
    for (_, variable) in function.local_variables.iter_mut() {
        variable.init = variable.init.and_then(|init| moved[init.index()]);
    }
    // The variables of unrolled loops are no longer read.
    let read: HashSet<_> = new.iter().filter_map(|(_, expression)| loaded(&new, expression)).collect();
    let unread: HashSet<_> = tracked.difference(&read).copied().collect();
    without_stores(&mut body, &new, &unread);
    function.expressions = new;
    function.body = body;
    Ok(())
}

/// The variable that the expression loads as a whole.
fn loaded(expressions: &Arena<Expression>, expression: &Expression) -> Option<Handle<LocalVariable>> {
    match expression {
        Expression::Load { pointer } => local(expressions, *pointer),
        _ => None,
    }
}

fn without_stores(block: &mut Block, expressions: &Arena<Expression>, unread: &HashSet<Handle<LocalVariable>>) {
    let mut left = Block::with_capacity(block.len());
    for (mut statement, span) in std::mem::take(block).span_into_iter() {
        for inner in inner_blocks_mut(&mut statement) {
            without_stores(inner, expressions, unread);
        }
        match statement {
            Statement::Store { pointer, .. } if local(expressions, pointer).is_some_and(|v| unread.contains(&v)) => {}
            other => left.push(other, span),
        }
    }
    *block = left;
}

type Values = HashMap<Handle<LocalVariable>, Literal>;

/// Rebuilds a function, statement by statement, as if it were executed as far as its values are known.
struct Rewriter<'a> {
    module: &'a Module,
    old: &'a Arena<Expression>,
    new: Arena<Expression>,
    /// The newest copy of each old expression.
    moved: Vec<Option<Handle<Expression>>>,
    /// Scalar variables that are only loaded and stored as a whole.
    tracked: HashSet<Handle<LocalVariable>>,
    /// The values of tracked variables at this point, where they are known.
    values: Values,
    /// The copy of each literal.
    literals: HashMap<(u8, u32), Handle<Expression>>,
    /// The tracked variables that each old expression depends on, through operands.
    reads: Vec<HashSet<Handle<LocalVariable>>>,
}

impl<'a> Rewriter<'a> {
    fn new(module: &'a Module, function: &'a Function) -> Result<Self, String> {
        let old = &function.expressions;
        let scalars = function.local_variables.iter();
        let scalars = scalars.filter(|(_, variable)| matches!(module.types[variable.ty].inner, TypeInner::Scalar(_)));
        let mut tracked: HashSet<_> = scalars.map(|(handle, _)| handle).collect();
        let mut reads: Vec<HashSet<_>> = Vec::with_capacity(old.len());
        for (_, expression) in old.iter() {
            let mut expression = expression.clone();
            let whole = loaded(old, &expression);
            let mut read: HashSet<_> = whole.into_iter().collect();
            for operand in operands::of_expression(&mut expression)? {
                read.extend(reads[operand.index()].iter().copied());
                if let (None, Some(variable)) = (whole, local(old, *operand)) {
                    tracked.remove(&variable);
                }
            }
            reads.push(read);
        }
        let mut problem = None;
        walk(&function.body, &mut |statement| {
            let pointer = match statement {
                Statement::Store { pointer, .. } => Some(*pointer),
                _ => None,
            };
            match operands::of_statement(&mut statement.clone()) {
                Ok(all) => all.into_iter().filter(|operand| Some(**operand) != pointer).for_each(|operand| {
                    local(old, *operand).map(|variable| tracked.remove(&variable));
                }),
                Err(reason) => problem = Some(reason),
            }
        });
        if let Some(reason) = problem {
            return Err(reason);
        }
        let mut rewriter = Rewriter {
            module,
            old,
            new: Arena::new(),
            moved: vec![None; old.len()],
            tracked,
            values: Values::new(),
            literals: HashMap::new(),
            reads,
        };
        // Expressions that are never emitted, in their old order, and the operands of initial values.
        for (handle, expression) in old.iter() {
            if expression.needs_pre_emit() {
                rewriter.copy(handle)?;
            }
        }
        for (handle, variable) in function.local_variables.iter() {
            if let Some(init) = variable.init {
                rewriter.copy_initial(init)?;
                if let (Some(value), true) = (rewriter.literal(init), rewriter.tracked.contains(&handle)) {
                    rewriter.values.insert(handle, value);
                }
            }
        }
        Ok(rewriter)
    }

    /// Copies an initial value, which may be composed of others.
    fn copy_initial(&mut self, old: Handle<Expression>) -> Result<(), String> {
        if self.moved[old.index()].is_none() {
            for operand in operands::of_expression(&mut self.old[old].clone())? {
                self.copy_initial(*operand)?;
            }
            self.copy(old)?;
        }
        Ok(())
    }

    /// Appends a copy of an old expression, whose operands have copies.
    fn copy(&mut self, old: Handle<Expression>) -> Result<Handle<Expression>, String> {
        let mut expression = self.old[old].clone();
        for operand in operands::of_expression(&mut expression)? {
            *operand = self.newest(*operand)?;
        }
        let new = self.new.append(expression, self.old.get_span(old));
        self.moved[old.index()] = Some(new);
        Ok(new)
    }

    fn newest(&self, old: Handle<Expression>) -> Result<Handle<Expression>, String> {
        self.moved[old.index()].ok_or_else(|| format!("{:?} is used before it is evaluated", self.old[old]))
    }

    /// The value of the newest copy of an old expression, if it is known.
    fn literal(&self, old: Handle<Expression>) -> Option<Literal> {
        self.value_of(self.moved[old.index()]?)
    }

    fn value_of(&self, new: Handle<Expression>) -> Option<Literal> {
        fold::constant(self.module, &self.new[new])
    }

    /// The new expression of a known value.
    fn known(&mut self, value: Literal) -> Option<Handle<Expression>> {
        let key = match value {
            Literal::Bool(value) => (0, u32::from(value)),
            Literal::U32(value) => (1, value),
            Literal::I32(value) => (2, value as u32),
            _ => return None,
        };
        let new = &mut self.new;
        Some(*self.literals.entry(key).or_insert_with(|| new.append(Expression::Literal(value), Span::UNDEFINED)))
    }

    /// Emits copies of the old expressions, or their values where these are known.
    fn emit(&mut self, range: Range<Expression>, span: Span, out: &mut Block) -> Result<(), String> {
        let mut run: Option<[Handle<Expression>; 2]> = None;
        for old in range {
            let value = match &self.old[old] {
                Expression::Load { pointer } => local(self.old, *pointer).and_then(|v| self.values.get(&v).copied()),
                other => fold::fold(other, |operand| self.literal(operand)),
            };
            if let Some(known) = value.and_then(|value| self.known(value)) {
                self.moved[old.index()] = Some(known);
                continue;
            }
            let constant_index = match self.old[old] {
                Expression::Access { base, index } if self.in_registers(base) => {
                    self.literal(index).and_then(fold::index).map(|index| (base, index))
                }
                _ => None,
            };
            let new = match constant_index {
                None => self.copy(old)?,
                Some((base, index)) => {
                    let base = self.newest(base)?;
                    self.new.append(Expression::AccessIndex { base, index }, self.old.get_span(old))
                }
            };
            self.moved[old.index()] = Some(new);
            match &mut run {
                Some([_, last]) if last.index() + 1 == new.index() => *last = new,
                _ => {
                    emitted(run.replace([new, new]), span, out);
                }
            }
        }
        emitted(run, span, out);
        Ok(())
    }

    /// Whether an access to the old expression `base` is one to a variable or value of the function.
    fn in_registers(&self, base: Handle<Expression>) -> bool {
        match self.old[base] {
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => self.in_registers(base),
            Expression::GlobalVariable(_) => false,
            _ => true,
        }
    }

    /// Copies a block. Gives whether its end is never reached.
    fn block(&mut self, block: &Block, out: &mut Block) -> Result<bool, String> {
        for (statement, span) in block.span_iter() {
            if self.new.len() > LARGEST {
                return Ok(false);
            }
            if self.statement(statement, *span, out)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn statement(&mut self, statement: &Statement, span: Span, out: &mut Block) -> Result<bool, String> {
        match statement {
            Statement::Emit(range) => self.emit(range.clone(), span, out)?,
            Statement::Block(inner) => return self.block(inner, out),
            Statement::If { condition, accept, reject } => match self.literal(*condition) {
                Some(Literal::Bool(true)) => return self.block(accept, out),
                Some(Literal::Bool(false)) => return self.block(reject, out),
                _ => {
                    let condition = self.newest(*condition)?;
                    let before = self.values.clone();
                    let accept = self.branch(accept)?;
                    let after = std::mem::replace(&mut self.values, before);
                    let reject = self.branch(reject)?;
                    self.values.retain(|variable, value| after.get(variable) == Some(value));
                    out.push(Statement::If { condition, accept, reject }, span);
                }
            },
            Statement::Loop { body, continuing, break_if } => match self.is_unrolled(body, continuing, *break_if) {
                true => return self.repeat(body, continuing, out),
                false => {
                    self.forget(&[body, continuing]);
                    let body_copy = self.branch(body)?;
                    self.forget(&[body, continuing]);
                    let continuing_copy = self.branch(continuing)?;
                    let break_if = break_if.map(|condition| self.newest(condition)).transpose()?;
                    self.forget(&[body, continuing]);
                    out.push(Statement::Loop { body: body_copy, continuing: continuing_copy, break_if }, span);
                }
            },
            other => {
                let mut copy = other.clone();
                for operand in operands::of_statement(&mut copy)? {
                    *operand = match operands::result_of(other) == Some(*operand) {
                        true => self.copy(*operand)?,
                        false => self.newest(*operand)?,
                    };
                }
                if let Statement::Store { pointer, value } = other
                    && let Some(variable) = local(self.old, *pointer)
                    && self.tracked.contains(&variable)
                {
                    match self.literal(*value) {
                        Some(value) => self.values.insert(variable, value),
                        None => self.values.remove(&variable),
                    };
                }
                out.push(copy, span);
            }
        }
        Ok(matches!(statement, Statement::Return { .. } | Statement::Break | Statement::Continue | Statement::Kill))
    }

    fn branch(&mut self, block: &Block) -> Result<Block, String> {
        let mut out = Block::new();
        self.block(block, &mut out)?;
        Ok(out)
    }

    /// Forgets the values of the variables that the blocks store.
    fn forget(&mut self, blocks: &[&Block]) {
        let (old, values) = (self.old, &mut self.values);
        for block in blocks {
            walk(block, &mut |statement| {
                if let Statement::Store { pointer, .. } = statement {
                    local(old, *pointer).map(|variable| values.remove(&variable));
                }
            });
        }
    }

    /// Copies the iterations of a loop one after the other. Gives whether its end is never reached.
    fn repeat(&mut self, body: &Block, continuing: &Block, out: &mut Block) -> Result<bool, String> {
        let Some(header) = Header::of(body) else { return Ok(false) };
        loop {
            for (statement, span) in header.before.iter() {
                self.statement(statement, **span, out)?;
            }
            if self.literal(header.condition) != Some(Literal::Bool(true)) || self.new.len() > LARGEST {
                return Ok(false);
            }
            for (statement, span) in header.rest.iter() {
                if self.statement(statement, **span, out)? {
                    return Ok(true);
                }
            }
            self.block(continuing, out)?;
        }
    }

    /// Whether a loop is unrolled: a `for` loop whose variable takes part in the index of an array in registers, with a
    /// known number of iterations.
    fn is_unrolled(&self, body: &Block, continuing: &Block, break_if: Option<Handle<Expression>>) -> bool {
        let (Some(header), None) = (Header::of(body), break_if) else { return false };
        let mut steps = Vec::new();
        for statement in continuing {
            match statement {
                Statement::Emit(_) => {}
                Statement::Store { pointer, value } => match local(self.old, *pointer) {
                    Some(variable) if self.tracked.contains(&variable) => steps.push((variable, *value)),
                    _ => return false,
                },
                _ => return false,
            }
        }
        let [(variable, step)] = steps[..] else { return false };
        let stored = |statement: &Statement| match statement {
            Statement::Store { pointer, .. } => local(self.old, *pointer) == Some(variable),
            _ => false,
        };
        let mut indexes = false;
        let mut is_stored = false;
        for (statement, _) in &header.rest {
            let mut visit = |statement: &Statement| {
                is_stored |= stored(statement);
                if let Statement::Emit(range) = statement {
                    indexes |= range.clone().any(|old| match self.old[old] {
                        Expression::Access { base, index } => {
                            self.in_registers(base) && self.reads[index.index()].contains(&variable)
                        }
                        _ => false,
                    });
                }
            };
            visit(statement);
            inner_blocks(statement).into_iter().for_each(|inner| walk(inner, &mut visit));
        }
        if !indexes || is_stored || header.rest.iter().any(|(statement, _)| leaves(statement)) {
            return false;
        }
        // The iterations, counted with the header and the step alone.
        let again: HashSet<_> = header.before.iter().map(|(s, _)| *s).chain(continuing).flat_map(emitted_by).collect();
        let Some(mut value) = self.values.get(&variable).copied() else { return false };
        for _ in 0..=LONGEST {
            match self.evaluated(header.condition, &again, (variable, value)) {
                Some(Literal::Bool(true)) => {}
                Some(Literal::Bool(false)) => return true,
                _ => return false,
            }
            match self.evaluated(step, &again, (variable, value)) {
                Some(next) => value = next,
                None => return false,
            }
        }
        false
    }

    /// The value of an old expression if `variable` has the value `value`. Expressions of `again` are evaluated anew.
    fn evaluated(
        &self,
        old: Handle<Expression>,
        again: &HashSet<Handle<Expression>>,
        (variable, value): (Handle<LocalVariable>, Literal),
    ) -> Option<Literal> {
        if !again.contains(&old) {
            return self.literal(old);
        }
        match &self.old[old] {
            Expression::Load { pointer } => match local(self.old, *pointer)? {
                found if found == variable => Some(value),
                other => self.values.get(&other).copied(),
            },
            other => fold::fold(other, |operand| self.evaluated(operand, again, (variable, value))),
        }
    }
}

fn emitted(run: Option<[Handle<Expression>; 2]>, span: Span, out: &mut Block) {
    if let Some([first, last]) = run {
        out.push(Statement::Emit(Range::new_from_bounds(first, last)), span);
    }
}

fn emitted_by(statement: &Statement) -> Vec<Handle<Expression>> {
    match statement {
        Statement::Emit(range) => range.clone().collect(),
        _ => Vec::new(),
    }
}

/// Whether the statement may leave the loop around it, or its iteration.
fn leaves(statement: &Statement) -> bool {
    match statement {
        Statement::Break | Statement::Continue => true,
        Statement::Loop { .. } => false,
        other => inner_blocks(other).into_iter().any(|inner| inner.iter().any(leaves)),
    }
}

/// The beginning of a `for` loop: `if (condition) {} else { break; }`.
struct Header<'a> {
    /// What evaluates the condition.
    before: Vec<(&'a Statement, &'a Span)>,
    condition: Handle<Expression>,
    /// The body.
    rest: Vec<(&'a Statement, &'a Span)>,
}

impl<'a> Header<'a> {
    fn of(body: &'a Block) -> Option<Self> {
        let statements: Vec<_> = body.span_iter().collect();
        let first = statements.iter().position(|(statement, _)| !matches!(statement, Statement::Emit(_)))?;
        let Statement::If { condition, accept, reject } = statements[first].0 else { return None };
        let breaks = matches!(reject.iter().collect::<Vec<_>>()[..], [Statement::Break]);
        let (before, rest) = (statements[..first].to_vec(), statements[first + 1..].to_vec());
        (accept.is_empty() && breaks).then_some(Header { before, condition: *condition, rest })
    }
}

#[cfg(test)]
#[path = "unroll_tests.rs"]
mod tests;

#[cfg(all(test, feature = "blocking"))]
#[path = "unroll_random.rs"]
mod random;
