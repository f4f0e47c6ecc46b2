package peer;

import java.nio.file.Path;
import java.util.List;

/** The command line that every peer has. */
final class Options {
    static final List<String> QUERIES = List.of(
            "q0", "q1", "q2", "q3", "q5", "q7", "q8",
            "keysum-1k", "keysum-1m", "keysum-10m", "keysum-zipf", "wordcount");

    static final String USAGE = """
            Usage: run QUERY --data DIR [--parallelism N] [--limit N] [--jitter-ms J] [--suffix S]
                   [--runs N] [--warmup N] [--warmup-seconds S] [--variant V]

            Runs QUERY over the inputs in DIR and prints one JSON object for every run.

              QUERY            %s
              --parallelism N  subtasks of every operator (default 1)
              --limit N        only the first N records of every input (of words: lines)
              --jitter-ms J    watermarks stand J ms behind (default 0)
              --suffix S       read e.g. persons_x10.bin with S = _x10
              --runs N         runs to report (default 1), after --warmup N others (default 1), and as many more
                               as --warmup-seconds S take (default 5, with --limit 0), for the JIT
              --variant V      only variant V, where there are several

            `run latency --help` tells how latencies are measured."""
            .formatted(String.join(" ", QUERIES));

    String query;
    Path data;
    int parallelism = 1;
    long limit = Long.MAX_VALUE;
    long jitterMs;
    String suffix = "";
    int runs = 1;
    int warmup = 1;
    long warmupSeconds = -1;
    String variant;

    /** Parses the arguments; an IllegalArgumentException says what is wrong with them. */
    static Options parse(String[] arguments) {
        Options options = new Options();
        for (int at = 0; at < arguments.length; at++) {
            String argument = arguments[at];
            if (!argument.startsWith("-")) {
                check(QUERIES.contains(argument), "there is no query `" + argument + "`");
                options.query = argument;
                continue;
            }
            check(at + 1 < arguments.length, argument + " wants a value");
            String value = arguments[++at];
            switch (argument) {
                case "--data" -> options.data = Path.of(value);
                case "--parallelism" -> options.parallelism = (int) number(argument, value);
                case "--limit" -> options.limit = number(argument, value);
                case "--jitter-ms" -> options.jitterMs = number(argument, value);
                case "--suffix" -> options.suffix = value;
                case "--runs" -> options.runs = (int) number(argument, value);
                case "--warmup" -> options.warmup = (int) number(argument, value);
                case "--warmup-seconds" -> options.warmupSeconds = number(argument, value);
                case "--variant" -> options.variant = value;
                default -> throw new IllegalArgumentException("there is no option " + argument);
            }
        }
        check(options.query != null, "no query given");
        check(options.data != null, "--data is missing");
        check(options.parallelism > 0, "--parallelism is at least 1");
        if (options.warmupSeconds < 0) {
            options.warmupSeconds = options.limit == Long.MAX_VALUE ? 5 : 0;
        }
        return options;
    }

    private static long number(String option, String value) {
        try {
            return Long.parseUnsignedLong(value.replace("_", ""));
        } catch (NumberFormatException error) {
            throw new IllegalArgumentException(option + " wants a number, not `" + value + "`");
        }
    }

    private static void check(boolean holds, String message) {
        if (!holds) {
            throw new IllegalArgumentException(message);
        }
    }
}
