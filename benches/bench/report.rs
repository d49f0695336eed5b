//! All that a run found, and how a terminal shows it.

use std::time::Duration;

use crate::figure::Row;

/// A table with a heading and a word on how to read it.
pub(crate) struct Section {
    pub(crate) title: String,
    /// What stands below the heading.
    pub(crate) text: String,
    pub(crate) head: &'static [&'static str],
    pub(crate) lines: Vec<Vec<String>>,
}

/// The sections in order, and the rows that have bars.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) sections: Vec<Section>,
    pub(crate) rows: Vec<Row>,
    /// Those that are drawn.
    pub(crate) drawn: Vec<Row>,
    /// The parts so far, and how long each took.
    pub(crate) took: Vec<(&'static str, Duration)>,
    /// Parts that panicked.
    pub(crate) broken: Vec<&'static str>,
}

const COLUMNS: [&str; 7] = ["what", "gistfs", "alternative", "ratio", "bar", "", "how"];

impl Report {
    /// Adds a section of rows and shows it.
    pub(crate) fn add(&mut self, title: &str, text: &str, rows: Vec<Row>) {
        let lines = rows.iter().map(Row::cells).collect();
        self.rows.extend(rows);
        self.add_table(title, text, &COLUMNS, lines);
    }

    /// Adds a table of another shape and shows it.
    pub(crate) fn add_table(
        &mut self,
        title: &str,
        text: &str,
        head: &'static [&'static str],
        lines: Vec<Vec<String>>,
    ) {
        let (title, text) = (title.to_owned(), text.to_owned());
        let section = Section { title, text, head, lines };
        section.print();
        self.sections.push(section);
    }

    /// Has these rows in the picture too.
    pub(crate) fn draw<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) {
        self.drawn.extend(rows.cloned());
    }

    /// Rows that must be exact and are not.
    pub(crate) fn wrong(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.missed_by().is_some_and(f64::is_infinite))
    }
}

impl Section {
    fn print(&self) {
        println!("\n{}\n{}", self.title, "-".repeat(self.title.chars().count()));
        let head: Vec<String> = self.head.iter().map(|&name| name.to_owned()).collect();
        let all = || std::iter::once(&head).chain(&self.lines);
        let width = |column: usize| {
            let cells = all().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for line in all() {
            let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}
