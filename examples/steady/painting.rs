//! Painting the frames of a video with a net, in a program of the library.

use impasto::gpu::{Context, DeviceTensor, Program, Recorder, Tensor};
use impasto::io::Picture;
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::adain_painter::AdainStyle;
use impasto::nets::image_transform_net::ImageTransformNetWeights;
use impasto::nets::steady::{Steadiness, Steady};
use impasto::nets::{AdainDecoder, ImageTransformNet, Tap, Vgg19};
use impasto::ops::norm::{Affine, Norm, Smoothing};
use impasto::ops::pool::Pooling;
use impasto::{Error, Result, weights};

use super::scene::View;

/// An included net that paints in one pass.
pub enum Net {
    /// AdaIN, with the mean and the deviation of a style.
    Adain { encoder: Vgg19, decoder: AdainDecoder, style: [DeviceTensor; 2] },
    /// A feed-forward net.
    FeedForward(ImageTransformNet),
}

/// A video that is being painted.
pub struct Video {
    frame: DeviceTensor,
    motion: DeviceTensor,
    depth: DeviceTensor,
    painted: DeviceTensor,
    steady: Steady,
    program: Program,
}

impl Net {
    /// The included net or AdaIN pair called `name`; a pair paints in the style of `painting`.
    pub fn load(context: &Context, name: &str, painting: &Picture) -> Result<Self> {
        if let Some(pair) = weights::PAIRS.iter().find(|pair| pair.name == name) {
            let encoder = Vgg19::load(context, &weights::encoder(pair.encoder)?, Pooling::Max)?;
            let decoder = AdainDecoder::new(context, AdainDecoderWeights::of(&pair.decoder()?)?)?;
            let AdainStyle { mean, deviation, .. } = AdainStyle::measure(&encoder, painting)?;
            let tensor =
                |name: &str, values: Vec<f32>| DeviceTensor::from_values(context, name, [values.len()], &values);
            let style = [tensor("mean", mean)?, tensor("deviation", deviation)?];
            return Ok(Net::Adain { encoder, decoder, style });
        }
        let file = weights::models().find(|(known, _)| *known == name).map(|(_, file)| file);
        let file = file.ok_or_else(|| Error::argument("steady", "net", "the name of an included net", name))??;
        Ok(Net::FeedForward(ImageTransformNet::new(context, ImageTransformNetWeights::of(&file)?)?))
    }

    fn context(&self) -> &Context {
        match self {
            Net::Adain { encoder, .. } => encoder.context(),
            Net::FeedForward(net) => net.context(),
        }
    }

    /// Records the net on `frame`, `[1, 3, H, W]`.
    fn record(&self, rec: &mut Recorder, frame: Tensor, smoothing: Smoothing) -> Result<Tensor> {
        match self {
            Net::Adain { encoder, decoder, style } => {
                let content = encoder.forward(rec, frame, Tap::RELU4_1)?.at(Tap::RELU4_1)?;
                let norm = Norm::default();
                let statistics = norm.statistics(rec, content, None)?;
                let statistics = smoothing.average(rec, statistics)?;
                let [beta, gamma] = style.each_ref().map(|tensor| rec.pin(tensor));
                let target = norm.apply(rec, content, statistics, Affine { gamma, beta }, None)?;
                let [_, _, height, width] = frame.shape.nchw("steady", "frame")?;
                Ok(decoder.forward(rec, target, [height, width])?.picture)
            }
            Net::FeedForward(net) => Ok(net.forward_smoothed(rec, frame, None, smoothing)?.picture),
        }
    }

    /// A new video of square frames.
    pub fn video(&self, side: usize, steadiness: Steadiness) -> Result<Video> {
        let mut rec = Recorder::new(self.context());
        let mut steady = Steady::new(&mut rec, steadiness)?;
        let input = |name: &str, channels: usize| DeviceTensor::new(self.context(), name, [1, channels, side, side]);
        let (frame, motion, depth) = (input("frame", 3), input("motion", 2), input("depth", 1));
        let [x, motion_symbol, depth_symbol] = [&frame, &motion, &depth].map(|tensor| rec.pin(tensor));
        let painted = self.record(&mut rec, x, steady.smoothing())?;
        let result = steady.follow(&mut rec, painted, motion_symbol, Some(depth_symbol))?;
        let painted = rec.output(result)?;
        Ok(Video { frame, motion, depth, painted, steady, program: rec.finish()? })
    }
}

impl Video {
    /// Paints the next frame. `reset` begins a new video.
    pub fn paint(&mut self, view: &View, reset: bool) -> Result<Picture> {
        self.frame.write(&view.picture.rgb)?;
        self.motion.write(&view.motion)?;
        self.depth.write(&view.depth)?;
        self.steady.begin(&self.program, [1.0; 2], reset)?;
        self.program.run()?;
        let rgb = self.painted.read()?.iter().map(|value| value.clamp(0.0, 1.0)).collect();
        Picture::from_rgb(view.picture.width, view.picture.height, rgb)
    }
}
