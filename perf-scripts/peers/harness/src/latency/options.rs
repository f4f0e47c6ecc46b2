//! The command line of a peer's `latency`.

/// The highest rate that `thalweg latency` knows, too.
const RATE_MAX: f64 = 50e6;

/// A day.
const SECONDS_MAX: f64 = 86_400.0;

/// How fast, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Records a second.
    pub(crate) rate: u64,
    /// How long latencies are recorded.
    pub(crate) seconds: f64,
    /// How long the job runs before that.
    pub(crate) warm_up: f64,
}

/// How to call it.
pub(crate) fn usage(system: &str) -> String {
    format!(
        "Usage: {system} latency [--rate R] [--seconds S] [--warm-up S]

Records how long a record takes from when it is due to when its key's count arrives, as
`thalweg latency --mode hop` does; prints one JSON object.

  --rate R     records a second (default 1000000)
  --seconds S  how long latencies are recorded (default 10)
  --warm-up S  how long the job runs before that (default 2)"
    )
}

impl Options {
    /// Parses the arguments after `latency`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let (mut rate, mut seconds, mut warm_up) = (1e6, 10.0, 2.0);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (kept, known) = match argument.as_str() {
                "--rate" => (&mut rate, 1.0..=RATE_MAX),
                "--seconds" => (&mut seconds, 0.001..=SECONDS_MAX),
                "--warm-up" => (&mut warm_up, 0.0..=SECONDS_MAX),
                _ => return Err(format!("there is no option {argument}")),
            };
            let value = arguments.next();
            let value = value.ok_or(format!("{argument} wants a value"))?;
            let number = value.parse().ok().filter(|number| known.contains(number));
            *kept = number.ok_or(format!(
                "{argument} wants a number from {} to {}, not `{value}`",
                known.start(),
                known.end()
            ))?;
        }
        Ok(Options {
            rate: rate as u64,
            seconds,
            warm_up,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&arguments)
    }

    #[test]
    fn bad_arguments_are_named() {
        let options = parse("--rate 5000 --warm-up 0").unwrap();
        assert_eq!((options.rate, options.warm_up), (5000, 0.0));
        assert!(parse("--rate 0").unwrap_err().contains("--rate wants"));
        assert!(parse("--seconds soon").unwrap_err().contains("`soon`"));
        assert_eq!(parse("--seconds").unwrap_err(), "--seconds wants a value");
        assert_eq!(parse("q0").unwrap_err(), "there is no option q0");
    }
}
