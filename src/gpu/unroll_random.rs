//! Random functions with loops and arrays give the same bits before and after they are unrolled and their arrays split.
//! All values are integers, also those of floats, so a driver's rounding plays no part. Floats are compared as integers,
//! because drivers may give either sign to a zero.

use std::borrow::Cow;
use std::fmt::Write;

use naga::compact::{KeepUnused, compact};
use naga::{Module, Statement};

use super::{inner_blocks, unroll};
use crate::gpu::split_arrays::split_arrays;
use crate::gpu::{Context, ContextOptions, DeviceTensor};
use crate::random::Random;

/// Functions of a kernel, kernels, and threads with different arguments.
const FUNCTIONS: usize = 4;
const KERNELS: u64 = 4;
const THREADS: usize = 64;

/// A function under construction.
struct Writer {
    random: Random,
    text: String,
    /// Loop variables in scope, and how many there have been.
    loops: Vec<String>,
    named: usize,
}

impl Writer {
    fn below(&mut self, limit: u64) -> u64 {
        self.random.bits() % limit
    }

    fn one_of(&mut self, choices: &[&str]) -> String {
        choices[self.below(choices.len() as u64) as usize].into()
    }

    /// An unsigned integer: known, unknown, or known in the turns of a loop.
    fn integer(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 6 } else { 10 }) {
            0 => format!("{}u", self.below(9)),
            1 => "start".into(),
            2 => "n".into(),
            3 => "h".into(),
            4 | 5 if self.loops.is_empty() => "n".into(),
            4 | 5 => {
                let which = self.below(self.loops.len() as u64) as usize;
                self.loops[which].clone()
            }
            6 => format!("({} {} {}u)", self.integer(depth - 1), self.one_of(&["%", "/"]), 1 + self.below(6)),
            7 => {
                let condition = self.condition(depth - 1);
                format!("select({}, {}, {condition})", self.integer(depth - 1), self.integer(depth - 1))
            }
            _ => format!(
                "({} {} {})",
                self.integer(depth - 1),
                self.one_of(&["+", "*", "-", "^"]),
                self.integer(depth - 1)
            ),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        let compared = |w: &mut Self| {
            let [a, b] = [w.integer(depth), w.integer(depth)];
            format!("{a} {} {b}", w.one_of(&["<", ">", "==", "!=", "<=", ">="]))
        };
        let first = compared(self);
        match self.below(4) {
            0 => format!("({first}) && ({})", compared(self)),
            1 => format!("!({first})"),
            _ => first,
        }
    }

    /// An element of one of the arrays of floats or of integers; often with a known index.
    fn element(&mut self, float: bool) -> String {
        let index = self.integer(1);
        match (float, self.below(2)) {
            (true, 0) => format!("a[{index} % 5u]"),
            (true, _) => format!("b[{index} % 3u][{} % 2u]", self.integer(1)),
            (false, 0) => format!("c[{index} % 4u]"),
            (false, _) => format!("d[{index} % 2u].{}", self.one_of(&["x", "y"])),
        }
    }

    fn block(&mut self, depth: usize) {
        for _ in 0..1 + self.below(3) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        match self.below(if depth == 0 { 5 } else { 9 }) {
            0 | 1 => {
                let (to, from, value) = (self.element(true), self.element(true), self.integer(1));
                let sign = self.one_of(&["+", "-"]);
                writeln!(self.text, "{to} = clamp({from} {sign} f32({value} % 16u) - x, -4096.0, 4096.0);").unwrap();
            }
            2 => {
                let (to, value, operator) = (self.element(false), self.integer(2), self.one_of(&["+", "^", "*", ""]));
                writeln!(self.text, "{to} {operator}= {value};").unwrap();
            }
            3 => {
                let from = self.element(false);
                writeln!(self.text, "h = h * 31u + {from};").unwrap();
            }
            4 => {
                let value = self.integer(1);
                writeln!(self.text, "n = ({value}) % 7u;").unwrap();
            }
            5 => {
                let condition = self.condition(1);
                writeln!(self.text, "if ({condition}) {{").unwrap();
                self.block(depth - 1);
                self.text += "} else {\n";
                self.block(depth - 1);
                self.text += "}\n";
            }
            _ => self.repeated(depth),
        }
    }

    fn repeated(&mut self, depth: usize) {
        let name = format!("i{}", self.named);
        self.named += 1;
        let bound = match self.below(5) {
            0 => "n".into(),
            1 => "start".into(),
            _ => format!("{}u", self.below(7)),
        };
        let header = match self.below(4) {
            // Downwards, on signed integers.
            0 => format!("var {name}s = i32({bound}); {name}s > 0; {name}s--"),
            1 => format!("var {name} = {bound}; {name} < 9u; {name} += {}u", 1 + self.below(3)),
            // `n` may change in the loop; the variable does not.
            _ => format!("var {name} = 0u; {name} < min({bound}, 7u); {name}++"),
        };
        let signed = header.contains("i32");
        writeln!(self.text, "for ({header}) {{").unwrap();
        self.loops.push(if signed { format!("u32({name}s)") } else { name });
        self.block(depth - 1);
        if self.below(4) == 0 {
            let (condition, way_out) = (self.condition(1), self.one_of(&["break", "continue"]));
            writeln!(self.text, "if ({condition}) {{ {way_out}; }}").unwrap();
            self.block(0);
        }
        self.text += "}\n";
        self.loops.pop();
    }

    fn function(mut self, number: usize) -> String {
        let seeds: Vec<_> = (0..2).map(|_| self.below(7)).collect();
        writeln!(
            self.text,
            "fn f{number}(start: u32, x: f32) -> u32 {{
            var a: array<f32, 5>; var b: array<array<f32, 2>, 3>; var c: array<u32, 4>; var d: array<vec2<u32>, 2>;
            var n = {}u; var h = {}u;",
            seeds[0], seeds[1]
        )
        .unwrap();
        for _ in 0..2 {
            self.block(1);
            self.repeated(2);
        }
        self.text += "for (var i = 0u; i < 5u; i++) { h = h * 31u + u32(i32(a[i])); }
            for (var i = 0u; i < 6u; i++) { h = h * 31u + u32(i32(b[i / 2u][i % 2u])); }
            for (var i = 0u; i < 4u; i++) { h = h * 31u + c[i]; }
            for (var i = 0u; i < 2u; i++) { h = h * 31u + d[i].x * 7u + d[i].y; }
            return h; }\n";
        self.text
    }
}

/// A kernel with random functions, of which every thread calls all.
fn kernel(seed: u64) -> Module {
    let mut text = "@group(0) @binding(0) var<storage, read_write> y: array<u32>;\n".to_string();
    let mut calls = String::new();
    for number in 0..FUNCTIONS {
        let random = Random::new(seed * 1000 + number as u64);
        text += &Writer { random, text: String::new(), loops: Vec::new(), named: 0 }.function(number);
        calls += &format!("y[t * {FUNCTIONS}u + {number}u] = f{number}(t % 7u, f32(t / 7u) - 4.0);\n");
    }
    text +=
        &format!("@compute @workgroup_size({THREADS}) fn main(@builtin(local_invocation_index) t: u32) {{ {calls} }}");
    naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)))
}

fn loops(module: &Module) -> usize {
    fn count<'a>(statements: impl Iterator<Item = &'a Statement>) -> usize {
        let of = |statement: &Statement| {
            let inner: usize = inner_blocks(statement).into_iter().map(|block| count(block.iter())).sum();
            inner + usize::from(matches!(statement, Statement::Loop { .. }))
        };
        statements.map(of).sum()
    }
    module.functions.iter().map(|(_, function)| count(function.body.iter())).sum()
}

/// What the functions of a kernel return, thread by thread.
fn results(context: &Context, module: &Module) -> Vec<u32> {
    let y = DeviceTensor::new(context, "y", [THREADS * FUNCTIONS]);
    let device = context.device();
    let source = wgpu::ShaderSource::Naga(Cow::Owned(module.clone()));
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: y.buffer().unwrap().as_entire_binding() }],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
    context.queue().submit([encoder.finish()]);
    y.read().unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn random_functions_keep_their_results() {
    let context = Context::new(&ContextOptions::default()).unwrap();
    let (mut before, mut after) = (0, 0);
    for seed in 0..KERNELS {
        let plain = kernel(seed);
        let mut rewritten = plain.clone();
        unroll(&mut rewritten).unwrap();
        split_arrays(&mut rewritten).unwrap();
        compact(&mut rewritten, KeepUnused::No);
        (before, after) = (before + loops(&plain), after + loops(&rewritten));
        let [expected, found] = [&plain, &rewritten].map(|module| results(&context, module));
        let wrong = expected.iter().zip(&found).position(|(expected, found)| expected != found);
        assert_eq!(wrong.map(|at| (at / FUNCTIONS, at % FUNCTIONS)), None, "kernel {seed}: thread and function");
        let different: std::collections::HashSet<_> = expected.iter().collect();
        assert!(different.len() > THREADS / 2, "kernel {seed} has only {} different results", different.len());
    }
    // Both kinds of loops occur: those that are unrolled, and those that stay.
    assert!(after > 10 && before > 2 * after, "{after} of {before} loops are left");
}
