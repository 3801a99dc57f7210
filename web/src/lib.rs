//! What `js/impasto.js` calls: the engine of Impasto for a browser, through wasm-bindgen.
//!
//! Pictures come and go as RGBA bytes, everything else as JSON. A progress callback gets what has been done and of how
//! much; it returns `true` to stop the work, which then fails with the code `aborted`.

mod error;
mod gatys;
mod listing;
mod live;
mod model;
mod paint;
mod pixels;
mod train;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use impasto::bench::Roof;
use impasto::doctor;
use impasto::gpu::{Context, ContextOptions};
use impasto::internal::{Kernel, compiled, listing as listed};
use impasto::io::WeightFile;
use impasto::nets::Vgg19;
use impasto::ops::pool::Pooling;
use impasto::weights::PAIRS;
use impasto::wgpu::{Instance, InstanceDescriptor, PowerPreference, RequestAdapterOptions};
use js_sys::Function;
use wasm_bindgen::prelude::*;

use error::{Failure, stopped};
use live::Live;
use model::Model;
use paint::Order;
use pixels::Pixels;

/// A device with the nets that were added.
#[wasm_bindgen]
pub struct Engine {
    context: Context,
    models: RefCell<BTreeMap<String, Rc<Model>>>,
    /// The net that measures losses.
    loss_net: RefCell<Option<Vgg19>>,
    /// The kernels that were listed last.
    listed: RefCell<Vec<Kernel>>,
}

/// Calls a progress callback. Gives whether it wants the work to stop.
fn is_stopped(callback: &Function, done: usize, total: usize) -> bool {
    let (done, total) = (JsValue::from(done as f64), JsValue::from(total as f64));
    callback.call2(&JsValue::NULL, &done, &total).is_ok_and(|stop| stop.is_truthy())
}

#[wasm_bindgen]
impl Engine {
    /// Opens the browser's adapter. `power` is "low-power", "high-performance" or empty.
    pub async fn open(power: String) -> Result<Engine, Failure> {
        let power_preference = match power.as_str() {
            "" => PowerPreference::None,
            "low-power" => PowerPreference::LowPower,
            "high-performance" => PowerPreference::HighPerformance,
            other => {
                let message = format!("powerPreference must be low-power or high-performance, got {other}");
                return Err(Failure::argument(message));
            }
        };
        let options = RequestAdapterOptions { power_preference, ..RequestAdapterOptions::default() };
        let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
        let adapter = instance.request_adapter(&options).await.map_err(|_| Failure::no_adapter())?;
        let context = Context::open_adapter(&adapter, &ContextOptions::default()).await?;
        Ok(Engine { context, models: RefCell::default(), loss_net: RefCell::default(), listed: RefCell::default() })
    }

    /// Adapter, class of kernels, features and limits, as JSON.
    pub fn details(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string(&self.context.details())?)
    }

    /// Whether the adapter is a software adapter.
    #[wasm_bindgen(getter)]
    pub fn software(&self) -> bool {
        self.context.is_software()
    }

    /// Bytes of the buffers on the device.
    #[wasm_bindgen(getter)]
    pub fn allocated(&self) -> f64 {
        self.context.buffer_bytes() as f64
    }

    /// The GPUDevice.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> JsValue {
        self.context.device().as_webgpu().map_or(JsValue::NULL, |device| device.clone().into())
    }

    /// Adds a pair of AdaIN from the files of its encoder and its decoder.
    #[wasm_bindgen(js_name = addAdain)]
    pub fn add_adain(&self, name: &str, encoder: Vec<u8>, decoder: Vec<u8>) -> Result<(), Failure> {
        self.insert(name, Model::adain(&self.context, [encoder, decoder])?);
        Ok(())
    }

    /// Adds a feed-forward net, a body, or a style of a body that has been added. Gives its kind and the names of its
    /// styles, as JSON.
    #[wasm_bindgen(js_name = addNet)]
    pub fn add_net(&self, name: &str, bytes: &[u8]) -> Result<String, Failure> {
        let bodies: Vec<_> = self.models.borrow().values().cloned().collect();
        let weights = model::net_in(name, bytes, bodies.iter().filter_map(|model| model.weights()))?;
        let model = Model::net(weights);
        let about = serde_json::json!({ "kind": model.kind(), "styles": model.styles() });
        self.insert(name, model);
        Ok(about.to_string())
    }

    /// Repaints a photo. `order` is the JSON of [`Order`], whose pictures are those of `pictures`.
    pub async fn stylize(
        &self,
        model: String,
        photo: Pixels,
        pictures: Vec<Pixels>,
        order: String,
        progress: Function,
    ) -> Result<Pixels, Failure> {
        let order: Order = serde_json::from_str(&order)?;
        let model = self.model(&model)?;
        let watch = |progress_: &impasto::nets::tiles::Progress| is_stopped(&progress, progress_.at, progress_.windows);
        Ok(Pixels(paint::stylize(&self.context, &model, &photo.0, &pictures, &order, watch).await?))
    }

    /// Prepares the stylisation of frames. `order` is the JSON of [`live::Order`]; `pictures` are AdaIN's styles.
    pub async fn live(&self, model: String, pictures: Vec<Pixels>, order: String) -> Result<Live, Failure> {
        let (order, model) = (serde_json::from_str(&order)?, self.model(&model)?);
        Live::new(&self.context, &model, &pictures, &order).await
    }

    /// Whether there is a net that measures losses.
    #[wasm_bindgen(getter, js_name = hasLossNet)]
    pub fn has_loss_net(&self) -> bool {
        self.loss_net.borrow().is_some()
    }

    /// Sets the net that measures losses, from the file of a VGG-19 or a student.
    #[wasm_bindgen(js_name = setLossNet)]
    pub fn set_loss_net(&self, bytes: &[u8]) -> Result<(), Failure> {
        let file = WeightFile::from_bytes("the loss net", bytes)?;
        self.loss_net.replace(Some(Vgg19::load(&self.context, &file, Pooling::Max)?));
        Ok(())
    }

    /// Gatys' method. `order` is the JSON of [`gatys::Order`].
    pub async fn gatys(
        &self,
        photo: Pixels,
        styles: Vec<Pixels>,
        order: String,
        on_step: Function,
    ) -> Result<Pixels, Failure> {
        let (order, vgg) = (serde_json::from_str(&order)?, self.measuring()?);
        gatys::stylize(&vgg, &photo, &styles, &order, &on_step).await
    }

    /// Trains a further style of a body. `order` is the JSON of [`train::Order`]. Gives the bytes of a `.style` file.
    pub async fn train(
        &self,
        body: String,
        painting: Pixels,
        photos: Vec<Pixels>,
        order: String,
        on_step: Function,
    ) -> Result<Vec<u8>, Failure> {
        let (order, vgg, model) = (serde_json::from_str(&order)?, self.measuring()?, self.model(&body)?);
        let weights = model.weights().filter(|weights| !weights.styles.is_empty());
        let weights = weights.ok_or_else(|| Failure::argument(format!("{body} is not a body of many styles")))?;
        train::style(&vgg, weights, &painting, &photos, &order, &on_step).await
    }

    /// The dispatches of a model for a picture of that size, as JSON.
    pub async fn dispatches(&self, model: String, width: usize, height: usize, timed: bool) -> Result<String, Failure> {
        let rec = listing::recording(&self.context, &*self.model(&model)?, [width, height])?;
        let list = listed(&rec);
        self.listed.replace(list.iter().map(|listed| listed.kernel.clone()).collect());
        listing::dispatches(rec, &list, timed).await
    }

    /// The text of the kernel with that index in the last list of dispatches, or with that name, as JSON.
    pub fn shader(&self, index: Option<usize>, name: String) -> Result<String, Failure> {
        let last = self.listed.borrow().clone();
        let found = match index {
            Some(index) => last.get(index).cloned(),
            None => last.into_iter().chain(compiled(&self.context)).find(|kernel| kernel.to_string() == name),
        };
        let unknown =
            "there is no such kernel; list the dispatches of a model first, and give an index or a kernel of theirs";
        listing::shader(&found.ok_or_else(|| Failure::argument(unknown))?)
    }

    /// The adapter's measured limits, as JSON.
    pub async fn roof(&self) -> Result<String, Failure> {
        let roof = Roof::measure_async(&self.context).await?;
        Ok(serde_json::json!({ "flops": roof.fma_flops, "bytes": roof.copy_bytes }).to_string())
    }

    /// Known-answer tests of the adapter and a small picture of each net that has been added, as JSON.
    ///
    /// `groups` are words in the names of the groups to check; without any, all are.
    pub async fn doctor(&self, groups: Vec<String>, progress: Function) -> Result<String, Failure> {
        let on_check = |done, total| if is_stopped(&progress, done, total) { Err(stopped()) } else { Ok(()) };
        let chosen = |name: &str| groups.is_empty() || groups.iter().any(|group| name.contains(group.as_str()));
        let nets = |name: &str| self.file(name);
        let report = doctor::examine_context_async(&self.context, &nets, chosen, on_check).await?;
        Ok(serde_json::to_string(&report)?)
    }
}

impl Engine {
    fn insert(&self, name: &str, model: Model) {
        self.models.borrow_mut().insert(name.into(), Rc::new(model));
    }

    fn measuring(&self) -> Result<Vgg19, Failure> {
        let vgg = self.loss_net.borrow().clone();
        vgg.ok_or_else(|| Failure::internal("there is no loss net"))
    }

    /// The file of a net by the library's name for it; `None` if it has not been added.
    fn file(&self, name: &str) -> Option<impasto::Result<WeightFile>> {
        let models = self.models.borrow();
        let encoder = name.strip_prefix("encoder-");
        let pair = PAIRS.iter().find(|pair| Some(pair.encoder) == encoder);
        match (encoder, &**models.get(pair.map_or(name, |pair| pair.name))?) {
            (Some(_), Model::Adain { files: [encoder, _], .. }) => Some(WeightFile::from_bytes(name, encoder)),
            (None, Model::Adain { files: [_, decoder], .. }) => Some(WeightFile::from_bytes(name, decoder)),
            (None, Model::Net { weights, .. }) => Some(Ok(weights.clone().into_file(Path::new(name), BTreeMap::new()))),
            _ => None,
        }
    }

    fn model(&self, name: &str) -> Result<Rc<Model>, Failure> {
        let found = self.models.borrow().get(name).cloned();
        found.ok_or_else(|| Failure::argument(format!("the model `{name}` is not loaded")))
    }
}
