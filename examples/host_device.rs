//! A trained net on the device of a host program: the host owns device, queue and encoder, and waits for nothing.
//! `cargo run --example host_device --no-default-features --features vulkan,weights-wave`

use impasto::gpu::{Context, ContextOptions, DeviceTensor, Recorder};
use impasto::nets::{ImageTransformNet, image_transform_net::ImageTransformNetWeights};
use impasto::{weights, wgpu};

async fn host() -> Result<(), Box<dyn std::error::Error>> {
    // What an engine has already.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&Default::default()).await?;
    let (device, queue) = adapter.request_device(&Default::default()).await?;

    let context = Context::from_host(device.clone(), queue.clone(), &ContextOptions::default())?;
    let (_, file) = weights::models().find(|(name, _)| *name == "wave").expect("feature weights-wave");
    let net = ImageTransformNet::new(&context, ImageTransformNetWeights::of(&file?)?)?;
    let frame = DeviceTensor::new(&context, "frame", [1, 3, 64, 96]);
    let mut rec = Recorder::new(&context);
    let x = rec.pin(&frame);
    let picture = net.forward(&mut rec, x)?.picture;
    let painted = rec.output(picture)?;
    let program = rec.finish()?;

    // Every frame: fill `frame.buffer()`, encode, submit; `painted.buffer()` is the result.
    frame.write(&vec![0.5; frame.shape().count()])?;
    let mut encoder = device.create_command_encoder(&Default::default());
    program.encode(&mut encoder);
    queue.submit([encoder.finish()]);
    let _result: &wgpu::Buffer = painted.buffer()?;
    println!("{} dispatches, {} MiB", program.dispatches(), program.memory().peak_bytes() >> 20);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    pollster::block_on(host())
}
