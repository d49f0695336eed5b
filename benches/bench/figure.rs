//! Figures, the bars they are to reach, and the words for both.

use std::fmt;
use std::time::Duration;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Figure {
    /// How long it took.
    Time(Duration),
    /// Operations a second.
    Rate(f64),
    /// Bytes a second.
    Flow(f64),
    /// Bytes of memory.
    Memory(u64),
    /// What was counted, in words.
    Words(String),
}

impl Figure {
    /// What ratios are made of.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Time(time) => Some(time.as_secs_f64()),
            Self::Rate(rate) | Self::Flow(rate) => Some(*rate),
            Self::Memory(bytes) => Some(*bytes as f64),
            Self::Words(_) => None,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => f.write_str(&seconds(time.as_secs_f64())),
            Self::Rate(rate) if *rate >= 10_000.0 => write!(f, "{:.0} k/s", rate / 1000.0),
            Self::Rate(rate) if *rate >= 1000.0 => write!(f, "{:.1} k/s", rate / 1000.0),
            Self::Rate(rate) => write!(f, "{rate:.0} /s"),
            Self::Flow(rate) => write!(f, "{:.0} MB/s", rate / 1e6),
            Self::Memory(bytes) => write!(f, "{:.1} MB", *bytes as f64 / 1e6),
            Self::Words(words) => f.write_str(words),
        }
    }
}

/// A time with three digits.
pub(crate) fn seconds(seconds: f64) -> String {
    let (number, unit) = match seconds {
        s if s < 0.000_000_999_5 => (s * 1e9, "ns"),
        s if s < 0.000_999_5 => (s * 1e6, "µs"),
        s if s < 0.999_5 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    match number {
        n if n < 9.995 => format!("{n:.2} {unit}"),
        n if n < 99.95 => format!("{n:.1} {unit}"),
        n => format!("{n:.0} {unit}"),
    }
}

/// What a figure is to reach.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bar {
    /// Nothing: it is there to compare with.
    None,
    /// At most this many times the alternative.
    AtMost(f64),
    /// At least this many times the alternative.
    AtLeast(f64),
    /// Less than this.
    Below(Figure),
    /// Exactly this.
    Exactly(String),
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::AtMost(part) if *part < 1.0 => write!(f, "≤ 1/{:.0}", part.recip()),
            Self::AtMost(times) => write!(f, "≤ {times} ×"),
            Self::AtLeast(times) => write!(f, "≥ {times} ×"),
            Self::Below(figure) => write!(f, "< {figure}"),
            Self::Exactly(words) => f.write_str(words),
        }
    }
}

/// A figure of gistfs's, what it is compared with, and what it is to reach.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) gistfs: Figure,
    /// The alternative's name and figure.
    pub(crate) other: Option<(String, Figure)>,
    pub(crate) bar: Bar,
    /// How often it was measured and what else is to be known.
    pub(crate) how: String,
}

impl Row {
    /// Requests, which must be exactly these.
    pub(crate) fn counted(what: &str, counted: String, exactly: &str) -> Self {
        let bar = Bar::Exactly(exactly.to_owned());
        Self {
            what: what.to_owned(),
            gistfs: Figure::Words(counted),
            other: None,
            bar,
            how: "counted".to_owned(),
        }
    }

    /// gistfs's figure over the alternative's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let other = self.other.as_ref()?.1.number()?;
        Some(self.gistfs.number()? / other).filter(|ratio| ratio.is_finite())
    }

    /// By what part the bar is missed; at most zero where it is reached. Of a ratio it is the part
    /// of the speed that is missing, whether times or rates are compared.
    pub(crate) fn missed_by(&self) -> Option<f64> {
        match &self.bar {
            Bar::None => None,
            Bar::AtMost(most) => Some(1.0 - most / self.ratio()?),
            Bar::AtLeast(least) => Some(1.0 - self.ratio()? / least),
            Bar::Below(most) => Some(self.gistfs.number()? / most.number()? - 1.0),
            Bar::Exactly(words) => {
                let same = matches!(&self.gistfs, Figure::Words(counted) if counted == words);
                Some(if same { 0.0 } else { f64::INFINITY })
            }
        }
    }

    /// The verdict in words.
    pub(crate) fn verdict(&self) -> String {
        match self.missed_by() {
            None => String::new(),
            Some(part) if part <= 0.0 => "reached".to_owned(),
            Some(part) if part.is_infinite() => "MISSED".to_owned(),
            Some(part) => format!("misses by {:.0} %", part * 100.0),
        }
    }

    /// The columns of the table: what, gistfs, alternative, ratio, bar, verdict, how.
    pub(crate) fn cells(&self) -> Vec<String> {
        let other = self.other.as_ref().map(|(name, figure)| format!("{name}: {figure}"));
        vec![
            self.what.clone(),
            self.gistfs.to_string(),
            other.unwrap_or_default(),
            self.ratio().map(times).unwrap_or_default(),
            self.bar.to_string(),
            self.verdict(),
            self.how.clone(),
        ]
    }
}

/// A ratio, as a part where it is a small one.
fn times(ratio: f64) -> String {
    match ratio {
        r if r < 0.195 => format!("1/{:.0}", r.recip()),
        r if r < 9.95 => format!("{r:.2} ×"),
        r => format!("{r:.0} ×"),
    }
}
