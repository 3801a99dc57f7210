//! `impasto kernels`

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use impasto::gpu::{Context, DeviceTensor, KernelClass, Recorder};
use impasto::internal::{self, CAPABILITIES, Kernel, Listed, expand, interface_of, module_of};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights, Painter};
use impasto::nets::vgg19::Vgg19Weights;
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Tap, Vgg19};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use impasto::weights::{self, PAIRS};
use impasto::{Error, Result};
use naga::back::{hlsl, msl, spv};
use naga::valid::{ValidationFlags, Validator};

use super::outputs::Overwrite;
use super::table::{Table, print_table};
use super::{DeviceArgs, print_line};

/// Arguments of `impasto kernels`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  impasto kernels                                   # AdaIN's dispatches for a picture of 512 x 512 px
  impasto kernels --net vgg --class tiled           # what a GPU would run, also without a GPU
  impasto kernels --net resize --show 4             # the WGSL of dispatch 4, with its constants
  impasto kernels --show 4 --as msl                 # the same for Metal
  impasto kernels --show 4 --as spirv -o conv.spv

A line is a dispatch: number, operation, kernel (file:entry point and constants), workgroups, GFLOP that the \
mathematics needs, GFLOP that the kernel performs, MB of the tensors that it reads and writes. The choice of kernels \
depends on the adapter, the class and the size of the picture.

Machine code for an AMD GPU, which need not be there: make bench-isa ISA='--chip navi21 --kernel conv2d:forward \
--keep out/isa' in the source folder (benches/isa/README.md).")]
pub struct Args {
    /// The net
    #[arg(long, value_enum, default_value_t = Net::Adain)]
    net: Net,
    /// Side of the picture in pixels
    #[arg(long, value_name = "PX", default_value_t = 512)]
    size: usize,
    /// Family of kernels: `tiled` for GPUs, `broadcast` for software adapters [default: that of the adapter]
    #[arg(long)]
    class: Option<Class>,
    /// Print the kernel of dispatch N
    #[arg(long, value_name = "N")]
    show: Option<usize>,
    /// Language of --show. `wgsl` is the file with its imports and constants; the others are what a driver gets
    #[arg(long = "as", value_enum, value_name = "LANGUAGE", default_value_t = Language::Wgsl, requires = "show")]
    language: Language,
    /// Write the kernel to that file
    #[arg(short, long, value_name = "FILE", requires = "show")]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long, conflicts_with = "show")]
    json: bool,
    #[command(flatten)]
    overwrite: Overwrite,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Net {
    /// AdaIN with the default pair
    Adain,
    /// AdaIN with the fast pair
    AdainFast,
    /// VGG-19 to relu4_1
    Vgg,
    /// Feed-forward net in its resize form, of the paper's width
    Resize,
    /// Feed-forward net in the paper's form
    Paper,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Class {
    Tiled,
    Broadcast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Wgsl,
    Spirv,
    Msl,
    Hlsl,
}

pub fn run(args: &Args) -> Result<()> {
    let class = args.class.map(|class| match class {
        Class::Tiled => KernelClass::Tiled,
        Class::Broadcast => KernelClass::Broadcast,
    });
    let context = super::open(impasto::gpu::ContextOptions { class, ..args.device.options() })?;
    let dispatches = args.net.dispatches(&context, args.size)?;
    let Some(number) = args.show else {
        return if args.json { print_json(&dispatches) } else { print(&dispatches) };
    };
    let Some(listed) = number.checked_sub(1).and_then(|index| dispatches.get(index)) else {
        let expected = format!("the number of a dispatch, 1 to {}", dispatches.len());
        return Err(Error::argument("kernels", "--show", expected, number));
    };
    let text = translated(&listed.kernel, args.language)?;
    match &args.output {
        Some(path) => {
            args.overwrite.check(path)?;
            internal::atomic::write(path, |file| file.write_all(&text))
        }
        None if args.language == Language::Spirv => {
            Err(Error::argument("kernels", "--as", "--output with `spirv`, which is no text", "spirv"))
        }
        None => print_line(String::from_utf8_lossy(&text).trim_end()),
    }
}

impl Net {
    /// The dispatches for a picture of `size`².
    fn dispatches(self, context: &Context, size: usize) -> Result<Vec<Listed>> {
        let pair = match self {
            Net::Adain => 0,
            Net::AdainFast => 1,
            Net::Vgg => {
                let vgg = Vgg19::new(context, &Vgg19Weights::random(1.0, 1), Pooling::Max)?;
                let mut rec = Recorder::new(context);
                let photo = rec.pin(&DeviceTensor::new(context, "photo", [1, 3, size, size]));
                vgg.forward(&mut rec, photo, Tap::RELU4_1)?;
                return Ok(internal::listing(&rec));
            }
            Net::Resize | Net::Paper => {
                let form = if self == Net::Paper { Form::Paper } else { Form::Resize };
                let net = ImageTransformNetWeights::random(form, Over::Instance, 1.0, 1);
                let painter = Painter::new(ImageTransformNet::new(context, net)?);
                return Ok(internal::listing(&internal::net_recording(&painter, [size, size])?));
            }
        };
        let encoder = Vgg19::load(context, &weights::encoder(PAIRS[pair].encoder)?, Pooling::Max)?;
        let decoder = AdainDecoder::new(context, AdainDecoderWeights::of(&PAIRS[pair].decoder()?)?)?;
        let painter = AdainPainter::new(&encoder, decoder)?;
        Ok(internal::listing(&internal::adain_recording(&painter, [size, size])?))
    }
}

fn print(dispatches: &[Listed]) -> Result<()> {
    let giga = |count: u64| format!("{:.3}", count as f64 / 1e9);
    let mut table: Table =
        vec![["operation", "number", "groups", "GFLOP", "performed", "MB", "kernel"].map(String::from).to_vec()];
    for (number, listed) in (1..).zip(dispatches) {
        let [x, y, z] = listed.groups;
        table.push(vec![
            listed.label.clone(),
            number.to_string(),
            format!("{x}x{y}x{z}"),
            giga(listed.flops),
            giga(listed.performed),
            format!("{:.1}", listed.bytes as f64 / 1e6),
            listed.kernel.to_string(),
        ]);
    }
    print_table(&table)?;
    let flops: u64 = dispatches.iter().map(|listed| listed.flops).sum();
    print_line(format_args!("{} dispatches, {} GFLOP", dispatches.len(), giga(flops)))
}

fn print_json(dispatches: &[Listed]) -> Result<()> {
    let rows = dispatches.iter().map(|listed| {
        serde_json::json!({
            "operation": listed.label,
            "kernel": listed.kernel.to_string(),
            "groups": listed.groups,
            "flops": listed.flops,
            "performed": listed.performed,
            "bytes": listed.bytes,
        })
    });
    print_line(serde_json::Value::from(rows.collect::<Vec<_>>()))
}

/// The kernel in a language.
fn translated(kernel: &Kernel, language: Language) -> Result<Vec<u8>> {
    let refused = |error: String| Error::Shader { shader: kernel.to_string(), source: error.into() };
    if language == Language::Wgsl {
        return Ok(format!("// {kernel}\n{}", expand(kernel)?).into_bytes());
    }
    let module = module_of(kernel)?;
    let validated = Validator::new(ValidationFlags::all(), CAPABILITIES).validate(module);
    let info = validated.map_err(|error| refused(error.to_string()))?;
    match language {
        Language::Wgsl | Language::Spirv => {
            let options = spv::Options { lang_version: (1, 3), ..Default::default() };
            let words = spv::write_vec(module, &info, &options, None).map_err(|error| refused(error.to_string()))?;
            Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
        }
        Language::Msl => {
            let options = msl::Options { lang_version: (2, 3), ..Default::default() };
            let (text, _) = msl::write_string(module, &info, &options, &Default::default())
                .map_err(|error| refused(error.to_string()))?;
            Ok(text.into_bytes())
        }
        Language::Hlsl => {
            let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_0, ..Default::default() };
            let mut text = format!("// workgroups of {:?} threads\n", interface_of(kernel)?.workgroup_size);
            hlsl::Writer::new(&mut text, &options, &Default::default())
                .write(module, &info, None)
                .map_err(|error| refused(error.to_string()))?;
            Ok(text.into_bytes())
        }
    }
}
