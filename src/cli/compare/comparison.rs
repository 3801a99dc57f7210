//! Runs the methods on one photo and style, and measures the results.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use clap::ValueEnum;
use impasto::Result;
use impasto::eval::feed_forward::{Learned, evaluate};
use impasto::gpu::Context;
use impasto::io::Picture;
use impasto::methods::gatys::{self, GatysSettings, Normalization, PictureLoss, Preset};
use impasto::nets::image_transform_net::{ImageTransformNetWeights, Painter};
use impasto::nets::{AdainPainter, ImageTransformNet, Vgg19};
use impasto::ops::norm::Over;
use impasto::ops::pool::Pooling;
use impasto::train::curve::Series;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::{Args, refused};
use crate::cli::eval::{measured_by, warn_of_other_style};
use crate::cli::file_name;
use crate::cli::models::find;
use crate::cli::progress::bar;
use crate::cli::table::Table;
use crate::cli::weights::{load_gatys_vgg, load_pair, load_vgg};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Optimises the pixels (arXiv:1508.06576)
    Gatys,
    /// A net for one style, with batch norm (arXiv:1603.08155)
    Johnson,
    /// A net for one style, with instance norm (arXiv:1607.08022)
    Ulyanov,
    /// An encoder and a decoder for any style (arXiv:1703.06868)
    Adain,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Gatys => "gatys",
            Method::Johnson => "johnson",
            Method::Ulyanov => "ulyanov",
            Method::Adain => "adain",
        }
    }
}

/// A trained net of the comparison.
struct Model {
    method: Method,
    /// The name on the command line; for a file, without the folder.
    name: String,
    net: Net,
    learned: Option<Learned>,
}

enum Net {
    /// A net for one style.
    One(ImageTransformNetWeights),
    /// An encoder and a decoder for any style.
    Any { encoder: Option<String>, decoder: String },
}

impl Model {
    fn find(method: Method, option: &str, name: &str, encoder: Option<&str>) -> Result<Self> {
        let (net, learned) = match method {
            Method::Adain => (Net::Any { encoder: encoder.map(String::from), decoder: name.into() }, None),
            _ => {
                let file = find("compare", option, &[name.to_string()])?;
                let weights = ImageTransformNetWeights::of(&file)?;
                let (norm, expected, got) = match method {
                    Method::Johnson => (Over::Batch, "batch norm", "a net with instance norm; give it as --ulyanov"),
                    _ => (Over::Instance, "instance norm", "a net with batch norm; give it as --johnson"),
                };
                if weights.norm != norm {
                    return Err(refused(option, format!("a net with {expected}"), format!("{name}, {got}")));
                }
                (Net::One(weights), Learned::of(&file)?)
            }
        };
        Ok(Model { method, name: file_name(Path::new(name)), net, learned })
    }
}

/// What is compared and by which loss. A plan is made without a device.
pub struct ComparisonPlan {
    title: String,
    methods: Vec<Method>,
    models: Vec<Model>,
    content: Picture,
    style: Picture,
    settings: GatysSettings,
    vgg: Option<String>,
    /// The net whose file determines the loss.
    loss_of: Option<String>,
}

impl ComparisonPlan {
    /// Reads the pictures and nets, and chooses the loss that measures all results.
    pub fn new(args: &Args, content: &Path, style: &Path) -> Result<Self> {
        for (option, count) in [("--steps", args.steps), ("--size", args.size)] {
            if count == 0 {
                return Err(refused(option, "at least 1", 0));
            }
        }
        let given = [
            (Method::Johnson, "--johnson", &args.johnson),
            (Method::Ulyanov, "--ulyanov", &args.ulyanov),
            (Method::Adain, "--adain", &args.adain),
        ];
        let mut methods = args.methods.clone();
        if methods.is_empty() {
            methods.push(Method::Gatys);
            methods.extend(given.iter().filter(|(.., model)| model.is_some()).map(|(method, ..)| *method));
        }
        for (index, method) in methods.iter().enumerate() {
            if methods[..index].contains(method) {
                return Err(refused("--methods", "different methods", format!("{} twice", method.name())));
            }
        }
        if let Some((method, option, _)) =
            given.iter().find(|(method, _, model)| methods.contains(method) && model.is_none())
        {
            return Err(refused(option, format!("a trained net for the method {}", method.name()), "none"));
        }
        let named = given.iter().filter_map(|(method, option, name)| Some((*method, option, name.as_ref()?)));
        let models =
            named.map(|(method, option, name)| Model::find(method, option, name, args.adain_encoder.as_deref()));
        let models = models.collect::<Result<Vec<_>>>()?;
        let known = models.iter().filter_map(|model| Some((model, model.learned.as_ref()?)));
        let known: Vec<_> = known.collect();
        for (model, learned) in &known {
            warn_of_other_style(&model.name, learned, style);
            if learned.loss != known[0].1.loss {
                let (model, first) = (&model.name, &known[0].0.name);
                tracing::warn!("{model} was trained with another loss than {first}; the loss of {first} measures both");
            }
        }
        let (settings, vgg) = match known.first() {
            Some((_, learned)) => {
                let vgg = measured_by("compare", args.vgg.as_deref(), learned)?;
                (learned.settings(args.size, args.steps), Some(vgg.to_string()))
            }
            None => {
                let base = Preset::Default.settings();
                (GatysSettings { size: args.size, steps: args.steps, scales: Some(1), ..base }, args.vgg.clone())
            }
        };
        if settings.style_scale > 8.0 {
            let least = known.first().map_or(1, |(_, learned)| learned.style_size.div_ceil(8));
            let expected = format!("at least {least} px, an eighth of the style size of the training");
            return Err(refused("--size", expected, args.size));
        }
        let side = (settings.style_scale * args.size as f32).round().max(1.0) as usize;
        Ok(ComparisonPlan {
            title: format!("{} in the style of {}", file_name(content), file_name(style)),
            methods,
            content: Picture::load(content)?.fit(args.size),
            style: Picture::load(style)?.fit(side),
            settings,
            vgg,
            loss_of: known.first().map(|(model, _)| model.name.clone()),
            models,
        })
    }

    /// The net that measures the loss. Without a trained net it is the default of Gatys' method.
    fn loss_net(&self, context: &Context) -> Result<Vgg19> {
        let load = if self.loss_of.is_some() { load_vgg } else { load_gatys_vgg };
        load(context, self.vgg.as_deref(), Pooling::Max)
    }

    fn model(&self, method: Method) -> Option<&Model> {
        self.models.iter().find(|model| model.method == method)
    }

    /// Refuses pictures that are too small or too large for a method, and decoders that do not fit the encoder.
    fn check(&self, vgg: &Vgg19) -> Result<()> {
        let Picture { width, height, .. } = self.content;
        let taps = self.settings.content_taps.iter().chain(&self.settings.style_taps);
        self.check_sides(taps.map(|(tap, _)| vgg.least_side(*tap)).max().unwrap_or(1))?;
        PictureLoss::plan(vgg, &self.content, &[self.style.clone().into()], &self.settings)?;
        for model in &self.models {
            match &model.net {
                Net::One(weights) => {
                    let net = ImageTransformNet::new(vgg.context(), weights.clone())?;
                    Painter::new(net).plan(width, height)?;
                }
                Net::Any { encoder, decoder } => {
                    let (encoder, decoder) = load_pair(vgg.context(), encoder.as_deref(), decoder)?;
                    let painter = AdainPainter::new(&encoder, decoder)?;
                    self.check_sides(painter.least_side())?;
                    painter.plan(width, height, 1)?;
                }
            }
        }
        Ok(())
    }

    fn check_sides(&self, least: usize) -> Result<()> {
        for (what, picture) in [("CONTENT", &self.content), ("STYLE", &self.style)] {
            let Picture { width, height, .. } = *picture;
            if width.min(height) < least {
                let expected = format!("at least {least} px on the short side; choose a larger --size");
                return Err(refused(what, expected, format!("{width}x{height}")));
            }
        }
        Ok(())
    }

    /// Paints with every method, then measures all results. Each method has a context of its own, so that none profits
    /// from kernels that another has compiled.
    pub fn run(self, args: &Args) -> Result<Comparison> {
        let context = args.device.open()?;
        let vgg = self.loss_net(&context)?;
        self.check(&vgg)?;
        let bar = bar(args.steps as u64);
        let mut painted = Vec::new();
        for &method in &self.methods {
            bar.set_message(method.name());
            let context = args.device.open()?;
            painted.push(match self.model(method) {
                None => self.optimise(&context, &bar)?,
                Some(model) => self.paint(&context, model)?,
            });
        }
        bar.finish_and_clear();
        let mut loss = PictureLoss::new(&vgg, &self.content, &[self.style.clone().into()], &self.settings)?;
        let photo = Measures::of(&mut loss, &self.content)?;
        let mut entries = Vec::new();
        for (&method, painted) in self.methods.iter().zip(painted) {
            let model = self.model(method).map(|model| model.name.clone());
            let measures = Measures::of(&mut loss, &painted.picture)?;
            entries.push(Entry { method, model, measures, painted });
        }
        let (device, driver) = (context.name().to_string(), context.driver());
        Ok(Comparison { title: self.title.clone(), plan: self, photo, entries, device, driver })
    }

    fn optimise(&self, context: &Context, bar: &ProgressBar) -> Result<Painted> {
        let began = Instant::now();
        let vgg = self.loss_net(context)?;
        let loading = began.elapsed().as_secs_f64();
        let run = |settings: &GatysSettings| {
            let began = Instant::now();
            let mut curve = Vec::new();
            let styles = [self.style.clone().into()];
            let outcome = gatys::stylize(&vgg, &self.content, &styles, settings, |progress| {
                let [done, _] = progress.evaluations;
                curve.extend(progress.windows.is_none().then_some([done as f64, progress.seconds, progress.loss]));
                bar.set_position(done.min(self.settings.steps) as u64);
                Ok(ControlFlow::Continue(()))
            })?;
            Result::Ok((outcome, curve, began.elapsed().as_secs_f64()))
        };
        // A cold run of one step shows how much longer the first step takes when no kernel is compiled yet.
        let (_, cold, _) = run(&GatysSettings { steps: 1, ..self.settings.clone() })?;
        let (outcome, curve, warm) = run(&self.settings)?;
        Ok(Painted {
            picture: outcome.picture,
            seconds_warm: warm,
            seconds_cold: loading + warm + (cold[0][1] - curve[0][1]).max(0.0),
            peak_bytes: outcome.peak_bytes,
            evaluations: outcome.evaluations,
            curve,
        })
    }

    fn paint(&self, context: &Context, model: &Model) -> Result<Painted> {
        let began = Instant::now();
        let Picture { width, height, .. } = self.content;
        match &model.net {
            Net::One(weights) => {
                let mut painter = Painter::new(ImageTransformNet::new(context, weights.clone())?);
                let painted = again(began, || painter.paint(&self.content))?;
                Ok(Painted { peak_bytes: painter.plan(width, height)?.peak_bytes(), ..painted })
            }
            Net::Any { encoder, decoder } => {
                let (encoder, decoder) = load_pair(context, encoder.as_deref(), decoder)?;
                let mut painter = AdainPainter::new(&encoder, decoder)?;
                let style = [painter.style(&self.style)?.into()];
                let painted = again(began, || painter.paint(&self.content, &style))?;
                Ok(Painted { peak_bytes: painter.plan(width, height, 1)?.peak_bytes(), ..painted })
            }
        }
    }
}

/// Lets a net paint several times, for the cold and the warm time. The caller fills in the memory.
fn again(began: Instant, mut paint: impl FnMut() -> Result<Picture>) -> Result<Painted> {
    let picture = paint()?;
    let seconds_cold = began.elapsed().as_secs_f64();
    let began = Instant::now();
    for _ in 0..AGAIN {
        paint()?;
    }
    let seconds_warm = began.elapsed().as_secs_f64() / AGAIN as f64;
    Ok(Painted { picture, seconds_warm, seconds_cold, peak_bytes: 0, evaluations: 0, curve: Vec::new() })
}

/// Number of warm runs; their mean is the warm time.
const AGAIN: usize = 5;

/// The result of a method and its cost.
struct Painted {
    picture: Picture,
    seconds_warm: f64,
    seconds_cold: f64,
    /// Planned device memory.
    peak_bytes: u64,
    /// Evaluations of loss and gradient; 0 for a trained net.
    evaluations: usize,
    /// Evaluations, seconds and loss after every step.
    curve: Vec<[f64; 3]>,
}

/// A picture's loss and its parts.
struct Measures {
    loss: f64,
    terms: Vec<(String, f64)>,
}

impl Measures {
    fn of(loss: &mut PictureLoss, picture: &Picture) -> Result<Self> {
        let (loss, terms) = evaluate(loss, picture)?;
        Ok(Measures { loss, terms })
    }

    /// The sum of the terms of one kind.
    fn part(&self, kind: &str) -> f64 {
        self.terms.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, value)| value).sum()
    }

    fn results(&self) -> Map<String, Value> {
        let terms: Map<_, _> = self.terms.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let mut results = Map::new();
        results.insert("loss".into(), json!(self.loss));
        for kind in PARTS {
            results.insert(kind.replace(' ', "_"), json!(self.part(kind)));
        }
        results.insert("terms".into(), terms.into());
        results
    }
}

/// Kinds of terms of the loss: the beginnings of their names.
const PARTS: [&str; 3] = ["style", "content", "total variation"];

struct Entry {
    method: Method,
    model: Option<String>,
    measures: Measures,
    painted: Painted,
}

/// All results of a comparison.
pub struct Comparison {
    /// `photo.jpg in the style of painting.jpg`.
    pub title: String,
    plan: ComparisonPlan,
    photo: Measures,
    entries: Vec<Entry>,
    device: String,
    driver: String,
}

impl Comparison {
    fn gatys(&self) -> Option<f64> {
        self.entries.iter().find(|entry| entry.method == Method::Gatys).map(|entry| entry.measures.loss)
    }

    /// A text that says how the results were measured.
    pub fn conditions(&self) -> String {
        let ComparisonPlan { content, style, settings, vgg, loss_of, .. } = &self.plan;
        let loss = match loss_of {
            Some(net) => format!("the loss by which {net} was trained"),
            None => "the loss of `impasto stylize --method gatys`".into(),
        };
        format!(
            "{}x{} px, style {}x{} px. All results are measured by {loss}, with features from {}. Gatys' method: {} \
             evaluations from the photo, at one scale. {} ({}).",
            content.width,
            content.height,
            style.width,
            style.height,
            vgg.as_deref().map_or("the default net".into(), |vgg| file_name(Path::new(vgg))),
            settings.steps,
            self.device,
            self.driver
        )
    }

    /// File name, caption and picture.
    pub fn pictures(&self) -> Vec<(&'static str, String, &Picture)> {
        let given = [("content", &self.plan.content), ("style", &self.plan.style)];
        let given = given.into_iter().map(|(name, picture)| (name, name.to_string(), picture));
        let made = self.entries.iter().map(|entry| {
            let caption = format!("{}, loss {:.4}", entry.method.name(), entry.measures.loss);
            (entry.method.name(), caption, &entry.painted.picture)
        });
        given.chain(made).collect()
    }

    /// The table of figures: a row for the unchanged photo, and one for each method.
    pub fn table(&self) -> Table {
        let headings =
            ["", "loss", "loss / Gatys", "style", "content", "total variation", "seconds warm", "cold", "memory"];
        let measures = |name: &str, of: &Measures| {
            let ratio = self.gatys().map_or("-".into(), |gatys| format!("{:.3}", of.loss / gatys));
            let parts = PARTS.map(|kind| format!("{:.4}", of.part(kind)));
            [vec![name.to_string(), format!("{:.4}", of.loss), ratio], parts.to_vec()].concat()
        };
        let mut table = vec![headings.map(String::from).to_vec()];
        table.push([measures("photo as it is", &self.photo), vec!["-".into(); 3]].concat());
        for Entry { method, measures: of, painted, .. } in &self.entries {
            let seconds = [painted.seconds_warm, painted.seconds_cold].map(|seconds| format!("{seconds:.3}"));
            let memory = format!("{:.1} MiB", painted.peak_bytes as f64 / f64::from(1 << 20));
            table.push([measures(method.name(), of), seconds.to_vec(), vec![memory]].concat());
        }
        table
    }

    /// File name, title, axis and lines of each plot: the losses of Gatys' method, and the losses of the nets for
    /// comparison.
    pub fn plots(&self) -> [(&'static str, &'static str, &'static str, Vec<Series>); 2] {
        let most = self.entries.iter().flat_map(|entry| &entry.painted.curve).map(|point| point[0]).fold(1.0, f64::max);
        let lines = |column: usize| {
            let line = |entry: &Entry| {
                let Entry { method, measures, painted, .. } = entry;
                let points = match (method, column) {
                    (Method::Gatys, _) => {
                        // The first evaluation is that of the photo.
                        let start = (column == 0).then_some((1.0, self.photo.loss));
                        start.into_iter().chain(painted.curve.iter().map(|point| (point[column], point[2]))).collect()
                    }
                    // A net needs no evaluations: its loss is a horizontal line.
                    (_, 0) => vec![(1.0, measures.loss), (most.max(2.0), measures.loss)],
                    _ => vec![(painted.seconds_warm, measures.loss)],
                };
                Series { name: method.name().into(), points }
            };
            self.entries.iter().map(line).collect()
        };
        [
            ("loss-steps", "Loss over evaluations", "evaluations of loss and gradient", lines(0)),
            ("loss-seconds", "Loss over seconds", "seconds", lines(1)),
        ]
    }

    /// All figures as JSON.
    pub fn results(&self) -> Map<String, Value> {
        let ComparisonPlan { content, style, settings, vgg, loss_of, .. } = &self.plan;
        let taps = |taps: &[(impasto::nets::Tap, f32)], all: f32| -> Vec<Value> {
            taps.iter().map(|(tap, weight)| json!([tap.to_string(), weight * all])).collect()
        };
        let methods = self.entries.iter().map(|entry| {
            let Entry { method, model, measures, painted } = entry;
            let mut results = measures.results();
            let more = [
                ("method", json!(method.name())),
                ("model", json!(model)),
                ("loss_to_gatys", json!(self.gatys().map(|gatys| measures.loss / gatys))),
                ("evaluations", json!(painted.evaluations)),
                ("seconds_warm", json!(painted.seconds_warm)),
                ("seconds_cold", json!(painted.seconds_cold)),
                ("peak_bytes", json!(painted.peak_bytes)),
                ("curve", json!(painted.curve)),
            ];
            results.extend(more.map(|(key, value)| (key.to_string(), value)));
            Value::Object(results)
        });
        let results = [
            ("title", json!(self.title)),
            ("size", json!([content.width, content.height])),
            ("style_size", json!([style.width, style.height])),
            ("steps", json!(settings.steps)),
            ("vgg", json!(vgg.as_deref().map(|vgg| file_name(Path::new(vgg))))),
            ("loss_of", json!(loss_of)),
            (
                "loss",
                json!({
                    "normalization": if settings.normalization == Normalization::Plain { "plain" } else { "relative" },
                    "content": taps(&settings.content_taps, settings.content_weight),
                    "style": taps(&settings.style_taps, settings.style_weight),
                    "tv": settings.tv_weight,
                }),
            ),
            ("photo", Value::Object(self.photo.results())),
            ("methods", Value::Array(methods.collect())),
            ("device", json!(self.device)),
            ("driver", json!(self.driver)),
        ];
        results.map(|(key, value)| (key.to_string(), value)).into_iter().collect()
    }
}
