//! The stylizer of a window whose size changes.

use impasto::embed::{Blend, Frame, Net, Options, Stylizer};
use impasto::{Result, wgpu};

use crate::scene::EXPOSURE;

/// A stylizer, and the one that will replace it.
pub struct Painter {
    net: Net,
    current: Stylizer,
    next: Option<Stylizer>,
}

impl Painter {
    /// Kernels compile on a thread.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, net: Net, options: &Options) -> Result<Self> {
        let current = Stylizer::new(device, queue, net.clone(), options)?;
        Ok(Painter { net, current, next: None })
    }

    /// Begins another stylizer if the window has outgrown this one or the scale has changed. Until it is ready, the
    /// current one goes on, so frames continue.
    pub fn adapt(&mut self, size: [u32; 2], scale: f32) -> Result<()> {
        if let Some(next) = &mut self.next
            && next.ready()?
        {
            std::mem::swap(&mut self.current, next);
            self.next = None;
        }
        let options = self.current.options();
        let max_size = [0, 1].map(|side| options.max_size[side].max(size[side]));
        if self.next.is_none() && (max_size != options.max_size || scale != options.scale) {
            let options = Options { max_size, scale, ..options.clone() };
            self.next = Some(self.current.another(self.net.clone(), &options)?);
        }
        Ok(())
    }

    /// Encodes the painting of a frame. Gives `false`, and encodes nothing, where there is nothing to paint with yet: the
    /// kernels are being compiled, or the frame is larger than the current stylizer's.
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        color: &wgpu::TextureView,
        target: &wgpu::TextureView,
        size: [u32; 2],
        blend: Blend,
    ) -> Result<bool> {
        let most = self.current.options().max_size;
        if !self.current.ready()? || size[0] > most[0] || size[1] > most[1] {
            return Ok(false);
        }
        let styles = [blend];
        let frame = Frame { exposure: EXPOSURE, ..Frame::new(color, target, size, &styles) };
        self.current.encode(encoder, &frame)?;
        Ok(true)
    }

    /// Floating-point operations of a frame in units of 10⁹; `None` while the kernels are being compiled.
    pub fn gflop(&mut self) -> Result<Option<f64>> {
        Ok(match self.current.ready()? {
            true => Some(self.current.gflop()?),
            false => None,
        })
    }
}
