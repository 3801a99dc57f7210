//! A self-contained HTML file: it embeds all pictures and plots.

use std::path::Path;

use impasto::{Error, Result};

use crate::cli::table::Table;

const STYLE: &str = "\
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 68rem; margin: 2rem auto; \
padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem } \
p { color: #555; margin: .3rem 0 1.5rem } h1, p, figcaption { overflow-wrap: anywhere }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem }
figure { margin: 0 } img { display: block; width: 100%; height: auto; border-radius: 4px } \
figcaption { color: #555; padding: .3rem 0 }
table { border-collapse: collapse; margin: 1.5rem 0; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; white-space: nowrap; padding: .35rem .6rem; border-bottom: 1px solid #ddd } th { font-weight: 600 }
th:first-child, td:first-child { text-align: left }
.wide { overflow-x: auto } .plot { max-width: 60rem }";

/// A page under construction.
pub struct Page {
    title: String,
    body: String,
    /// Pictures that are not yet part of `body`, for the next row.
    pictures: String,
}

/// Escapes text for HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Base64 encoding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, index| bits << 8 | u32::from(group.get(index).copied().unwrap_or(0)));
        for place in 0..4 {
            let sextet = bits >> (18 - 6 * place) & 63;
            text.push(if place > group.len() { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
    }
    text
}

/// An `img` element that embeds a PNG file.
fn image(alternative: &str, path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error))?;
    Ok(format!(r#"<img alt="{}" src="data:image/png;base64,{}">"#, escaped(alternative), base64(&bytes)))
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Page { title: escaped(title), body: String::new(), pictures: String::new() }
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: &str) {
        self.add(&format!("<p>{}</p>", escaped(text)));
    }

    /// Adds a picture, in one row with the pictures just before it.
    pub fn picture(&mut self, caption: &str, path: &Path) -> Result<()> {
        let image = image(caption, path)?;
        self.pictures += &format!("<figure>{image}<figcaption>{}</figcaption></figure>\n", escaped(caption));
        Ok(())
    }

    /// Adds a table.
    pub fn table(&mut self, table: &Table) {
        let mut text = String::from("<div class=\"wide\"><table>\n");
        for (index, line) in table.iter().enumerate() {
            let kind = if index == 0 { "th" } else { "td" };
            let cells = line.iter().map(|cell| format!("<{kind}>{}</{kind}>", escaped(cell)));
            text += &format!("<tr>{}</tr>\n", cells.collect::<String>());
        }
        self.add(&(text + "</table></div>"));
    }

    /// Adds a plot with a heading.
    pub fn plot(&mut self, title: &str, path: &Path) -> Result<()> {
        let image = image(title, path)?;
        self.add(&format!("<h2>{}</h2>\n<div class=\"plot\">{image}</div>", escaped(title)));
        Ok(())
    }

    fn add(&mut self, element: &str) {
        if !self.pictures.is_empty() {
            let row = std::mem::take(&mut self.pictures);
            self.body += &format!("<div class=\"pictures\">\n{row}</div>\n");
        }
        self.body += element;
        self.body.push('\n');
    }

    /// The complete file.
    pub fn finish(self) -> String {
        let Page { title, body, .. } = self;
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let examples =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (bytes, text) in examples {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn names_of_files_are_no_markup() {
        let mut page = Page::new("<b>&\"");
        page.text("a<script>");
        page.table(&vec![vec!["<i>".into()]]);
        let text = page.finish();
        assert!(
            text.contains("&lt;b&gt;&amp;&quot;") && text.contains("a&lt;script&gt;") && text.contains("<th>&lt;i&gt;")
        );
        assert!(!text.contains("<b>") && !text.contains("<script"));
    }
}
