//! The command line that every peer has.

use std::path::PathBuf;

/// A query of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Every bid.
    Q0,
    /// Every bid, its price in another currency.
    Q1,
    /// The bids of some auctions.
    Q2,
    /// Persons of three states and their auctions of one category.
    Q3,
    /// The auction with the most bids of every sliding window.
    Q5,
    /// The highest bid of every tumbling window.
    Q7,
    /// Persons and their auctions of the same tumbling window.
    Q8,
    /// Running sums over 1,000 keys.
    Keysum1k,
    /// Running sums over 1,000,000 keys.
    Keysum1m,
    /// Running sums over 10,000,000 keys.
    Keysum10m,
    /// Running sums over 1,000,000 keys, some much more frequent than others.
    KeysumZipf,
    /// Running counts of words.
    Wordcount,
}

/// Every query with its name.
const QUERIES: [(&str, Query); 12] = [
    ("q0", Query::Q0),
    ("q1", Query::Q1),
    ("q2", Query::Q2),
    ("q3", Query::Q3),
    ("q5", Query::Q5),
    ("q7", Query::Q7),
    ("q8", Query::Q8),
    ("keysum-1k", Query::Keysum1k),
    ("keysum-1m", Query::Keysum1m),
    ("keysum-10m", Query::Keysum10m),
    ("keysum-zipf", Query::KeysumZipf),
    ("wordcount", Query::Wordcount),
];

impl Query {
    /// The name in the specification.
    pub fn name(self) -> &'static str {
        let found = QUERIES.iter().find(|(_, query)| *query == self);
        found.expect("every query has a name").0
    }

    /// For the running sums, how many keys there may be; else none.
    pub fn keys(self) -> Option<usize> {
        match self {
            Query::Keysum1k => Some(1_000),
            Query::Keysum1m | Query::KeysumZipf => Some(1_000_000),
            Query::Keysum10m => Some(10_000_000),
            _ => None,
        }
    }
}

/// What to run, over what, how often.
#[derive(Clone, Debug)]
pub struct Options {
    /// The query.
    pub query: Query,
    /// Where the inputs are.
    pub data: PathBuf,
    /// Subtasks of every operator.
    pub parallelism: usize,
    /// Read only so many records of every input (of words: lines).
    pub limit: Option<usize>,
    /// How far, in milliseconds, a timestamp may stand behind an earlier one.
    pub jitter_ms: i64,
    /// What stands after the name of every input, as in `persons_x10.bin`.
    pub suffix: String,
    /// Runs to report.
    pub runs: usize,
    /// Runs before those, unreported.
    pub warmup: usize,
    /// Run only this variant, where a peer has several.
    pub variant: Option<String>,
}

/// How to call a peer.
pub(crate) fn usage(system: &str, has_latency: bool) -> String {
    let queries: Vec<_> = QUERIES.iter().map(|(name, _)| *name).collect();
    let latency = match has_latency {
        true => format!("\n\n`{system} latency --help` tells how latencies are measured."),
        false => String::new(),
    };
    format!(
        "Usage: {system} QUERY --data DIR [--parallelism N] [--limit N] [--jitter-ms J] [--suffix S]
       [--runs N] [--warmup N] [--variant V]

Runs QUERY over the inputs in DIR and prints one JSON object for every run.

  QUERY            {}
  --parallelism N  subtasks of every operator (default 1)
  --limit N        only the first N records of every input (of words: lines)
  --jitter-ms J    watermarks stand J ms behind (default 0)
  --suffix S       read e.g. persons_x10.bin with S = _x10
  --runs N         runs to report (default 1), after --warmup N others (default 1)
  --variant V      only variant V, where there are several{latency}",
        queries.join(" ")
    )
}

impl Options {
    /// Parses the arguments after the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let mut query = None;
        let mut options = Options {
            query: Query::Q0,
            data: PathBuf::new(),
            parallelism: 1,
            limit: None,
            jitter_ms: 0,
            suffix: String::new(),
            runs: 1,
            warmup: 1,
            variant: None,
        };
        while let Some(argument) = arguments.next() {
            if !argument.starts_with('-') {
                let found = QUERIES.iter().find(|(name, _)| *name == argument);
                query = Some(found.ok_or(format!("there is no query `{argument}`"))?.1);
                continue;
            }
            let value = arguments
                .next()
                .ok_or(format!("{argument} wants a value"))?;
            match argument.as_str() {
                "--data" => options.data = value.into(),
                "--parallelism" => options.parallelism = number(&argument, &value)?,
                "--limit" => options.limit = Some(number(&argument, &value)?),
                "--jitter-ms" => options.jitter_ms = number(&argument, &value)? as i64,
                "--suffix" => options.suffix = value,
                "--runs" => options.runs = number(&argument, &value)?,
                "--warmup" => options.warmup = number(&argument, &value)?,
                "--variant" => options.variant = Some(value),
                _ => return Err(format!("there is no option {argument}")),
            }
        }
        options.query = query.ok_or("no query given")?;
        if options.data.as_os_str().is_empty() {
            return Err("--data is missing".into());
        }
        if options.parallelism == 0 {
            return Err("--parallelism is at least 1".into());
        }
        Ok(options)
    }
}

fn number(option: &str, value: &str) -> Result<usize, String> {
    let digits = value.replace('_', "");
    digits
        .parse()
        .map_err(|_| format!("{option} wants a number, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_may_stand_on_either_side_of_the_query() {
        let options = parse("--data d keysum-1m --parallelism 2 --limit 1_000").unwrap();
        assert_eq!(options.query.name(), "keysum-1m");
        assert_eq!((options.parallelism, options.limit), (2, Some(1000)));
    }

    #[test]
    fn bad_arguments_are_named() {
        assert_eq!(parse("q4 --data d").unwrap_err(), "there is no query `q4`");
        assert_eq!(parse("q0").unwrap_err(), "--data is missing");
        assert!(
            parse("q0 --data d --runs many")
                .unwrap_err()
                .contains("`many`")
        );
        assert!(parse("q0 --data d --parallelism 0").is_err());
    }
}
