//! Results as tables in Markdown.

use serde_json::Value;

use super::record::{Measured, Record, State};

/// The tables of all stages.
pub fn markdown(record: &Record) -> String {
    let text = |field: &str| record.details[field].as_str().unwrap_or("?").to_string();
    let version = record.details["versions"]["impasto"].as_str().unwrap_or("?");
    let mut out = format!("## {}\n\n{}, {}; ", text("adapter"), text("driver"), text("backend"));
    out += &format!("Impasto {version}, {}; medians, measured by `impasto gpu-day`", &record.began);
    out += if record.dry_run { " --dry-run, so the figures mean nothing.\n" } else { ".\n" };
    for stage in record.stages.iter().filter(|stage| stage.name.starts_with("doctor")) {
        out += &doctor(stage);
    }
    out += &roofs(record);
    for title in ["convolutions", "layers", "nets", "training steps"] {
        let stages = record.stages.iter().filter(|stage| stage.name.starts_with(title));
        out += &works(title, &stages.collect::<Vec<_>>());
    }
    out += &tuning(record);
    out += &peers(record);
    let missing = record.stages.iter().filter(|stage| stage.state != State::Done).map(|stage| {
        let reason = stage.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        vec![stage.name.clone(), format!("{}{reason}", stage.state)]
    });
    out + &table("Not measured, or not to the end", &["stage", "what happened"], missing.collect())
}

/// A table under a heading; nothing without rows. Columns after the first are aligned to the right if they have numbers.
fn table(title: &str, headings: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let is_number = |cell: &str| cell == "-" || cell.starts_with(|first: char| first.is_ascii_digit());
    let rule = |column: usize| match column > 0 && rows.iter().all(|row| is_number(&row[column])) {
        true => "---:".to_string(),
        false => "---".to_string(),
    };
    let cells = |row: &Vec<String>| line(&mut row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")));
    let body: String = rows.iter().map(cells).collect();
    let head = line(&mut headings.iter().map(|heading| heading.to_string()));
    format!("\n### {}\n\n{head}{}{body}", capital(title), line(&mut (0..headings.len()).map(rule)))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A number with three significant digits or all of its integer digits; `-` if there is none.
fn number(value: &Value, factor: f64) -> String {
    value.as_f64().map_or("-".into(), |value| {
        let value = value * factor;
        let digits = if value >= 100.0 { 0 } else { (2 - value.abs().max(1e-3).log10().floor() as i32).clamp(0, 6) };
        format!("{value:.*}", digits as usize)
    })
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_string()
}

fn doctor(stage: &Measured) -> String {
    let report = &stage.result()["report"];
    let checks = report["checks"].as_array().unwrap_or(&stage.lines);
    if checks.is_empty() {
        return String::new();
    }
    let wrong: Vec<_> = checks.iter().filter(|check| !check["fault"].is_null()).collect();
    let mut out = format!("\n{}: {} of {} tests right", capital(&stage.name), checks.len() - wrong.len(), checks.len());
    out += if stage.state == State::Stopped { ", stopped there.\n" } else { ".\n" };
    let rows = wrong.iter().map(|check| ["group", "name", "fault"].map(|field| words(&check[field])).to_vec());
    out + &table(&format!("Faults that {} found", stage.name), &["operation", "test", "fault"], rows.collect())
}

fn roofs(record: &Record) -> String {
    let found = record.stages.iter().find(|stage| stage.name == "roofs").map(|stage| &stage.result()["roof"]);
    let Some(roof) = found.filter(|roof| roof.is_object()) else { return String::new() };
    let figures = [
        ("f32 multiply-adds", "fma_gflop_per_second", 1.0, "GFLOP/s"),
        ("f16 multiply-adds", "half_fma_gflop_per_second", 1.0, "GFLOP/s"),
        ("multiply-adds of cooperative matrices", "matrix_fma_gflop_per_second", 1.0, "GFLOP/s"),
        ("copy", "copy_gigabyte_per_second", 1.0, "GB/s"),
        ("a dispatch", "dispatch_seconds", 1e6, "µs"),
        ("a submission", "submission_seconds", 1e6, "µs"),
    ];
    let rows = figures.iter().filter(|(_, field, ..)| !roof[field].is_null());
    let rows =
        rows.map(|(name, field, factor, unit)| vec![name.to_string(), number(&roof[field], *factor), unit.to_string()]);
    table("limits", &["", "measured", "unit"], rows.collect())
}

/// Rows of `bench`, one for each work, with the columns of each precision.
fn works(title: &str, stages: &[&Measured]) -> String {
    let mut precisions: Vec<&str> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut figures: Vec<(String, &str, Value)> = Vec::new();
    for stage in stages {
        let precision = stage.precision.as_deref().unwrap_or("f32");
        for figure in stage.figures("workloads") {
            let name = words(&figure["name"]);
            if !names.contains(&name) {
                names.push(name.clone());
            }
            if !precisions.contains(&precision) {
                precisions.push(precision);
            }
            figures.push((name, precision, figure));
        }
    }
    let mut headings = vec!["work".to_string()];
    for precision in &precisions {
        headings.extend([format!("{precision}, ms"), "GFLOP/s".into(), "share of the f32 roof".into()]);
    }
    let row = |name: &String| {
        let mut cells = vec![name.clone()];
        for precision in &precisions {
            let of = |(known, kind, figure)| (known == name && kind == precision).then_some(figure);
            let figure =
                figures.iter().find_map(|(known, kind, figure)| of((known, kind, figure))).unwrap_or(&Value::Null);
            cells.push(number(&figure["median_seconds"], 1e3));
            cells.push(number(&figure["gflop_per_second"], 1.0));
            cells.push(figure["share_of_fma"].as_f64().map_or("-".into(), |share| format!("{:.0}%", 100.0 * share)));
        }
        cells
    };
    let headings: Vec<_> = headings.iter().map(String::as_str).collect();
    table(title, &headings, names.iter().map(row).collect())
}

fn tuning(record: &Record) -> String {
    let Some(stage) = record.stages.iter().find(|stage| stage.name == "tune") else { return String::new() };
    let rows = stage.figures("trials").into_iter().map(|trial| {
        let kept = if trial["kept"] == true { "yes" } else { "no" };
        vec![words(&trial["name"]), number(&trial["time"], 100.0), number(&trial["error"], 100.0), kept.into()]
    });
    table(
        "tuning",
        &["change", "time, % of the best so far", "difference, % of what is allowed", "kept"],
        rows.collect(),
    )
}

/// The times of the other engines, a column for each.
fn peers(record: &Record) -> String {
    let of_peers = record.stages.iter().filter(|stage| stage.name.starts_with("other engines"));
    let results: Vec<Value> = of_peers.flat_map(|stage| stage.figures("results")).collect();
    let (mut works, mut peers) = (Vec::new(), Vec::new());
    let work_of = |row: &Value| format!("{} at {}²", words(&row["kind"]), row["size"]);
    for row in &results {
        let (work, peer) = (work_of(row), words(&row["peer"]));
        if !works.contains(&work) {
            works.push(work);
        }
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    let row = |work: &String| {
        let of = |peer: &String| {
            let found = results.iter().find(|row| work_of(row) == *work && row["peer"] == **peer);
            number(found.map_or(&Value::Null, |row| &row["timed"]["median_ms"]), 1.0)
        };
        [vec![work.clone()], peers.iter().map(of).collect()].concat()
    };
    let headings: Vec<_> = ["work, ms"].into_iter().chain(peers.iter().map(String::as_str)).collect();
    table("other engines", &headings, works.iter().map(row).collect())
}
