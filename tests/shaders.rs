//! Tests without a device: every kernel in every variant parses, validates and translates to SPIR-V, MSL and HLSL;
//! invalid names give clear errors.

use std::collections::HashSet;
use std::sync::LazyLock;

use impasto::internal::{
    self, Access, CAPABILITIES, Interface, Kernel, expand, interface_of, module_of, shader_names, shader_source,
};
use naga::back::{hlsl, msl, spv};
use naga::valid::{ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage, TypeInner};
use rayon::prelude::*;

/// A kernel's module, validated as its pipeline's is.
struct Text {
    kernel: Kernel,
    module: &'static Module,
    info: ModuleInfo,
}

impl Text {
    fn of(kernel: Kernel) -> Text {
        let module = module_of(&kernel).unwrap_or_else(|e| panic!("{kernel}: {e}"));
        let validated = Validator::new(ValidationFlags::all(), CAPABILITIES).validate(module);
        let info = validated.unwrap_or_else(|e| panic!("{kernel}: {}", e.emit_to_string(&expand(&kernel).unwrap())));
        Text { kernel, module, info }
    }
}

/// Every kernel, listed once for all tests.
static KERNELS: LazyLock<Vec<Kernel>> = LazyLock::new(internal::kernels);

/// All kernels, each also with all f32 arrays stored as f16.
static TEXTS: LazyLock<Vec<Text>> = LazyLock::new(|| {
    let full: Vec<_> = KERNELS.par_iter().cloned().map(Text::of).collect();
    let half = |text: &Text| Kernel { halves: arrays_of_f32(text.module), ..text.kernel.clone() };
    let halves: Vec<_> = full.iter().map(half).filter(|kernel| !kernel.halves.is_empty()).collect();
    full.into_par_iter().chain(halves.into_par_iter().map(Text::of)).collect()
});

/// The most rows or columns of a kernel's cooperative matrices; 0 if it uses none.
fn side_of_matrices(module: &Module) -> u32 {
    let side = |(_, kind): (_, &naga::Type)| match kind.inner {
        TypeInner::CooperativeMatrix { rows, columns, .. } => Some((rows as u32).max(columns as u32)),
        _ => None,
    };
    module.types.iter().filter_map(side).max().unwrap_or(0)
}

/// Names of the storage variables that are arrays of f32 or of f32 vectors.
fn arrays_of_f32(module: &Module) -> Vec<&'static str> {
    let is_f32 = |ty| match module.types[ty].inner {
        TypeInner::Array { base, .. } => match module.types[base].inner {
            TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } => scalar == naga::Scalar::F32,
            _ => false,
        },
        _ => false,
    };
    let stored = module
        .global_variables
        .iter()
        .filter(|(_, variable)| matches!(variable.space, naga::AddressSpace::Storage { .. }) && is_f32(variable.ty));
    stored.map(|(_, variable)| -> &'static str { variable.name.clone().unwrap().leak() }).collect()
}

/// Stores a kernel's text in another language in the folder `IMPASTO_KEEP`, if it is set, for `make shaders`.
fn keep(number: usize, kernel: &Kernel, entry: &str, extension: &str, bytes: impl AsRef<[u8]>) {
    let Some(folder) = std::env::var_os("IMPASTO_KEEP") else { return };
    let shader = kernel.shader.trim_end_matches(".wgsl");
    let path = std::path::Path::new(&folder).join(format!("{shader}-{number}.{entry}.{extension}"));
    std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A browser gets kernels as WGSL that naga writes. It renames such an entry point, so that the pipeline would not find it.
#[test]
fn no_entry_point_is_a_word_of_wgsl() {
    let words = [naga::keywords::wgsl::RESERVED, naga::keywords::wgsl::BUILTIN_IDENTIFIERS].concat();
    assert!(words.contains(&"step"));
    for kernel in KERNELS.iter() {
        assert!(!words.contains(&kernel.entry), "{kernel}");
    }
}

#[test]
fn every_kernel_translates_to_spir_v() {
    for (number, Text { kernel, module, info }) in TEXTS.iter().enumerate() {
        let options = spv::Options { lang_version: (1, 3), ..Default::default() };
        let words = spv::write_vec(module, info, &options, None).unwrap_or_else(|e| panic!("{kernel}: {e}"));
        assert!(words.len() > 100, "{kernel}");
        keep(number, kernel, kernel.entry, "spv", bytemuck::cast_slice::<u32, u8>(&words));
    }
}

#[test]
fn every_kernel_translates_to_msl() {
    for Text { kernel, module, info } in TEXTS.iter() {
        if side_of_matrices(module) == 16 {
            continue; // Metal's are of 8 × 8 elements; a context asks the adapter which it has
        }
        let options = msl::Options { lang_version: (2, 3), ..Default::default() };
        let (text, translation) =
            msl::write_string(module, info, &options, &Default::default()).unwrap_or_else(|e| panic!("{kernel}: {e}"));
        for name in translation.entry_point_names {
            let name = name.unwrap_or_else(|e| panic!("{kernel}: {e}"));
            assert!(text.contains(&format!(" {name}(")), "{kernel}");
        }
    }
}

#[test]
fn every_kernel_translates_to_hlsl() {
    for (number, Text { kernel, module, info }) in TEXTS.iter().enumerate() {
        if side_of_matrices(module) > 0 {
            continue; // wgpu does not support them on DX12
        }
        let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_0, ..Default::default() };
        let mut text = String::new();
        let reflection = hlsl::Writer::new(&mut text, &options, &Default::default())
            .write(module, info, None)
            .unwrap_or_else(|e| panic!("{kernel}: {e}"));
        for name in reflection.entry_point_names {
            let name = name.unwrap_or_else(|e| panic!("{kernel}: {e}"));
            assert!(text.contains(&format!(" {name}(")), "{kernel}");
            let functions =
                text.lines().filter(|line| line.ends_with('{') && line.contains('(') && !line.starts_with(' '));
            let mut defined = HashSet::new();
            let twice =
                functions.filter(|line| line.starts_with(char::is_alphabetic)).find(|line| !defined.insert(*line));
            assert_eq!(twice, None, "{kernel} defines a function twice");
            if module.entry_points[0].stage == ShaderStage::Compute {
                keep(number, kernel, &name, "hlsl", &text); // with the profile of compute shaders
            }
        }
    }
}

/// The text that the library parses, in which other compilers miss binding numbers and a directive for subgroups.
#[test]
fn every_kernel_has_a_text() {
    for (number, kernel) in KERNELS.iter().enumerate() {
        let text = expand(kernel).unwrap_or_else(|e| panic!("{kernel}: {e}"));
        assert!(text.contains(&format!("fn {}(", kernel.entry)), "{kernel}");
        let enable = if text.contains("subgroup") { "enable subgroups;\n" } else { "" };
        let mut bindings = 0..;
        let complete = text.lines().map(|line| {
            match ["var<uniform", "var<storage", "var "].iter().any(|start| line.starts_with(start)) {
                true => format!("@group(0) @binding({}) {line}\n", bindings.next().unwrap()),
                false => format!("{line}\n"),
            }
        });
        keep(number, kernel, kernel.entry, "wgsl", enable.to_string() + &complete.collect::<String>());
    }
}

#[test]
fn every_file_is_embedded() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    for (folder, prefix) in [(folder.clone(), ""), (folder.join("lib"), "lib/")] {
        for file in folder.read_dir().unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
            let name = format!("{prefix}{}", file.file_name().to_str().unwrap());
            assert_eq!(shader_source(&name), Some(std::fs::read_to_string(file.path()).unwrap().as_str()), "{name}");
        }
    }
}

#[test]
fn every_entry_point_of_every_file_is_a_kernel() {
    assert!(shader_names().count() > 10);
    for shader in shader_names() {
        let text = expand(KERNELS.iter().find(|kernel| kernel.shader == shader).expect(shader)).unwrap();
        for entry in naga::front::wgsl::parse_str(&text).unwrap().entry_points {
            // Draws to textures are the exception.
            assert_eq!(entry.stage == ShaderStage::Compute, !["screen", "to_target"].contains(&entry.name.as_str()));
            let known = KERNELS.iter().any(|kernel| kernel.shader == shader && kernel.entry == entry.name);
            assert!(known, "no kernel runs {shader}:{}", entry.name);
        }
    }
}

/// Every kernel stays within WebGPU's default limits, because a host engine's device may have no more.
#[test]
fn every_kernel_stays_within_the_default_limits_of_webgpu() {
    for Text { kernel, module, .. } in TEXTS.iter() {
        let Interface { bindings, workgroup_size } = interface_of(kernel).unwrap();
        let is_buffer = |access| matches!(access, Access::Read | Access::Write | Access::ReadWrite);
        let storage = bindings.iter().filter(|binding| is_buffer(binding.access)).count();
        assert!(storage <= 8, "{kernel}: {storage} storage buffers");
        // At most 16 sampled textures and 4 storage textures.
        let textures = bindings.iter().filter(|binding| matches!(binding.access, Access::Texture(_))).count();
        assert!(textures <= 4, "{kernel}: {textures} textures");
        // Kernels with cooperative matrices are exempt: the context requests higher limits from such adapters.
        let [threads, memory] = if side_of_matrices(module) > 0 { [1024, 32 << 10] } else { [256, 16 << 10] };
        assert!(workgroup_size.iter().product::<u32>() <= threads, "{kernel}: {workgroup_size:?} threads");
        let shared = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
        let bytes: u32 = shared.map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx())).sum();
        assert!(bytes <= memory, "{kernel}: {bytes} bytes of workgroup memory");
    }
}

/// Atomic float additions are made in a nondeterministic order, so the same inputs would give different bits.
#[test]
fn no_kernel_has_an_atomic_float() {
    let is_atomic_float =
        |inner: &TypeInner| matches!(inner, TypeInner::Atomic(scalar) if scalar.kind == naga::ScalarKind::Float);
    let has_one = |module: &Module| module.types.iter().any(|(_, kind)| is_atomic_float(&kind.inner));
    for text in TEXTS.iter() {
        assert!(!has_one(text.module), "{}", text.kernel);
    }
    let tampered = naga::front::wgsl::parse_str("var<storage, read_write> sum: atomic<f32>;");
    assert!(has_one(&tampered.unwrap()));
}

#[test]
fn constants_are_set_in_the_file_and_its_imports() {
    let kernel = Kernel::new("conv2d.wgsl", "forward").set("ROWS", 9u32).set("MODE", 2u32).set("BIAS", false);
    let text = expand(&kernel).unwrap();
    for line in ["const ROWS: u32 = 9u;", "const MODE: u32 = 2u;", "const BIAS: bool = false;"] {
        assert_eq!(text.lines().filter(|known| *known == line).count(), 1, "{line}");
    }
    for line in ["const ROWS: u32 = 3u;", "const MODE: u32 = 0u;", "const BIAS: bool = true;", "#import"] {
        assert!(!text.contains(line), "{line}");
    }
    assert!(!shader_source("conv2d.wgsl").unwrap().contains("const MODE:"), "MODE is the library's");
    assert_eq!(
        interface_of(&Kernel::new("vector.wgsl", "sum").set("REDUCE_SIZE", 32u32)).unwrap().workgroup_size,
        [32, 1, 1]
    );
}

/// `arrayLength` does not count as an access: a transient that is only written needs no initial value.
#[test]
fn accesses_are_those_of_the_entry_point() {
    let accesses = |entry| {
        let bindings = &interface_of(&Kernel::new("vector.wgsl", entry)).unwrap().bindings;
        bindings.iter().map(|binding| (binding.name.clone(), binding.access)).collect::<Vec<_>>()
    };
    let [params, x, y, z] = ["params", "x", "y", "z"].map(String::from);
    let (params, x) = ((params, Access::Uniform), (x, Access::Read));
    assert_eq!(accesses("affine"), [params.clone(), x.clone(), (y, Access::Read), (z.clone(), Access::Write)]);
    assert_eq!(accesses("axpy"), [params.clone(), x, (z.clone(), Access::ReadWrite)]);
    assert_eq!(accesses("clamp_range"), [params, (z, Access::ReadWrite)]);
}

/// A variable that one entry point writes is bound for reading where another only reads it, and one in a branch that a
/// constant rules out is not bound at all. Binding numbers have no gaps.
#[test]
fn a_kernel_binds_what_it_uses() {
    let bound = |kernel: Kernel| {
        let module = module_of(&kernel).unwrap();
        let variables = module.global_variables.iter().filter_map(|(_, variable)| {
            let binding = variable.binding.as_ref()?;
            let writes = match variable.space {
                naga::AddressSpace::Storage { access } => access.contains(naga::StorageAccess::STORE),
                _ => false,
            };
            Some((binding.binding, variable.name.as_deref().unwrap(), writes))
        });
        variables.collect::<Vec<_>>()
    };
    let relu = |entry| bound(Kernel::new("relu.wgsl", entry));
    assert_eq!(relu("forward"), [(0, "x", false), (1, "y", true)]);
    assert_eq!(relu("backward"), [(0, "y", false), (1, "dy", false), (2, "dx", true)]);
    let adam = |clipped: bool| bound(Kernel::new("adam.wgsl", "update").set("CLIPPED", clipped));
    assert_eq!(adam(true).len(), 6);
    assert_eq!(adam(false), adam(true)[..5]);
}

#[test]
fn every_import_names_an_existing_library() {
    for shader in shader_names() {
        let text = shader_source(shader).unwrap();
        for name in text.lines().filter_map(|line| line.strip_prefix("#import ")) {
            assert!(name.starts_with("lib/"), "{shader} imports {name}");
            let library = shader_source(name).unwrap_or_else(|| panic!("{shader} imports {name}"));
            assert!(!library.contains("#import"), "{name} imports: one flat level is allowed");
        }
    }
}

#[test]
fn errors_contain_unknown_names() {
    let message = |kernel: Kernel| interface_of(&kernel).unwrap_err().to_string();
    let unknown_constant = message(Kernel::new("conv2d.wgsl", "forward").set("ROWZ", 3u32));
    assert!(
        unknown_constant.contains("conv2d.wgsl:forward") && unknown_constant.contains("ROWZ"),
        "{unknown_constant}"
    );
    let unknown_file = message(Kernel::new("convolution.wgsl", "forward"));
    assert!(
        unknown_file.contains("convolution.wgsl:forward") && unknown_file.contains("no such file"),
        "{unknown_file}"
    );
    let unknown_entry = message(Kernel::new("relu.wgsl", "sideways"));
    assert!(unknown_entry.contains("relu.wgsl:sideways") && unknown_entry.contains("entry point"), "{unknown_entry}");
    let wrong_type = message(Kernel::new("conv2d.wgsl", "forward").set("ROWS", true));
    assert!(wrong_type.contains("conv2d.wgsl:forward") && wrong_type.contains("ROWS"), "{wrong_type}");
}
