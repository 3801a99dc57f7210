//! A style on its own: what a body's norms need to paint in it, a few KB.

use super::Weights;
use crate::io::{HostTensor, WeightFile};
use crate::ops::norm::Over;
use crate::{Error, Result};

/// Scales and shifts of all norms of a body (see [`Weights::styles`]) for one style.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// [`Weights::fingerprint`] of the body.
    pub body: String,
    /// What the body is called: for people, it may be another file by now.
    pub body_name: String,
    /// `inN.weight` and `inN.bias`, `[C]`, in the order of the net.
    pub tensors: Vec<(String, HostTensor)>,
}

/// What the metadata of a style's file says it is.
const ARCHITECTURE: &str = "image_transform_net_style";

/// Names of the metadata: the kind of file, the body's fingerprint, its name.
const METADATA: [&str; 3] = ["architecture", "body", "body_name"];

impl Style {
    /// Whether that is what the file says it is.
    pub fn is_in(file: &WeightFile) -> bool {
        file.metadata.get(METADATA[0]).is_some_and(|architecture| architecture == ARCHITECTURE)
    }

    /// The style that a file keeps.
    ///
    /// # Errors
    /// A file that is not such a style, one that AdaIN keeps among them; one that does not say which body it is of.
    pub fn of(file: &WeightFile) -> Result<Self> {
        let wrong = |reason: &str| {
            let way_out = "`impasto train style` writes a style of a body";
            Error::weights(&file.path, format!("{reason}; {way_out}"))
        };
        if !Self::is_in(file) {
            return Err(wrong("is no style of a body"));
        }
        let [_, body, body_name] = METADATA.map(|key| file.metadata.get(key).cloned());
        let (Some(body), Some(body_name)) = (body, body_name) else {
            return Err(wrong("does not say which body it is of"));
        };
        Ok(Style { body, body_name, tensors: file.tensors.clone() })
    }

    /// What a file of this style has to say of it in its metadata.
    pub fn metadata(&self) -> [(&'static str, String); 3] {
        let values = [ARCHITECTURE.to_string(), self.body.clone(), self.body_name.clone()];
        let mut values = values.into_iter();
        METADATA.map(|key| (key, values.next().expect("as many values as keys")))
    }
}

impl Weights {
    /// The style of a net of one, which is a style of the body `name`.
    ///
    /// # Errors
    /// A whole body; batch norm, whose statistics belong to the style too.
    pub fn style(&self, name: &str) -> Result<Style> {
        let refuse = |got| Err(Error::argument("style", "net", "a net of one style with instance norm", got));
        match (self.norm, self.styles.is_empty()) {
            (Over::Batch, _) => refuse("one with batch norm"),
            (_, false) => refuse("a whole body"),
            _ => Ok(Style {
                body: self.fingerprint(),
                body_name: name.into(),
                tensors: self.affine().cloned().collect(),
            }),
        }
    }

    /// A net of one style: these convolutions, be it a body's or one of its styles', with the scales and shifts of `style`.
    ///
    /// # Errors
    /// A style of another body; one that lacks a tensor, or has one of another shape.
    pub fn in_style(&self, style: &Style) -> Result<Self> {
        let refuse = |expected: String, got| Err(Error::argument("style", "style", expected, got));
        if style.body != self.fingerprint() {
            return refuse("one of this body".into(), format!("one of {}", style.body_name));
        }
        let mut one = self.clone();
        one.styles.clear();
        for (name, tensor) in one.affine_mut() {
            let channels = tensor.shape[tensor.shape.len() - 1];
            match style.tensors.iter().find(|(known, _)| known == name) {
                Some((_, own)) if own.shape == [channels] => *tensor = own.clone(),
                found => {
                    let got = found.map_or("none".into(), |(_, own)| format!("{:?}", own.shape));
                    return refuse(format!("a tensor {name} of shape [{channels}]"), got);
                }
            }
        }
        Ok(one)
    }
}
