package peer;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

/** The queries on Flink. */
public final class Main {
    private Main() {}

    /** The ways of running a query, by name. */
    private static Map<String, Consumer<Job>> variants(String query) {
        Map<String, Consumer<Job>> found = new LinkedHashMap<>();
        switch (query) {
            case "q0" -> found.put("", Stateless::q0);
            case "q1" -> found.put("", Stateless::q1);
            case "q2" -> found.put("", Stateless::q2);
            case "q3" -> found.put("", Joins::q3);
            case "q5" -> {
                found.put("windows", Windows::q5);
                found.put("sliced", Windows::q5Sliced);
                found.put("two-phase", Windows::q5TwoPhase);
            }
            case "q7" -> {
                found.put("windows", Windows::q7);
                found.put("folded", Windows::q7Folded);
            }
            case "q8" -> {
                found.put("windows", Joins::q8);
                found.put("by hand", Joins::q8ByHand);
            }
            case "wordcount" -> found.put("", Sums::wordcount);
            default -> found.put("", Sums::keysum);
        }
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0 && arguments[0].equals("latency")) {
            Latency.main(Arrays.copyOfRange(arguments, 1, arguments.length));
            return;
        }
        if (java.util.List.of(arguments).contains("--help")) {
            System.out.println(Options.USAGE);
            return;
        }
        Options options;
        try {
            options = Options.parse(arguments);
            Inputs.open(options);
        } catch (IllegalArgumentException | java.io.IOException error) {
            System.err.println("flink: " + error.getMessage() + "\n\n" + Options.USAGE);
            System.exit(2);
            return;
        }
        for (Map.Entry<String, Consumer<Job>> variant : variants(options.query).entrySet()) {
            if (options.variant != null && !options.variant.equals(variant.getKey())) {
                continue;
            }
            long begin = System.nanoTime();
            for (int run = 0; run < options.warmup || System.nanoTime() - begin < options.warmupSeconds * 1e9; run++) {
                execute(options, variant.getValue());
            }
            for (int run = 0; run < options.runs; run++) {
                execute(options, variant.getValue());
                report(options, variant.getKey());
            }
        }
        // Threads of the cluster may linger; all has been said.
        System.exit(0);
    }

    private static void execute(Options options, Consumer<Job> variant) throws Exception {
        Clock.reset();
        Job job = new Job(options);
        variant.accept(job);
        job.environment.execute(options.query);
    }

    private static void report(Options options, String variant) {
        long records = switch (options.query) {
            case "q3", "q8" -> Inputs.records(0, 32) + (long) Inputs.records(1, 48);
            case "wordcount" -> Clock.rows;
            case "q0", "q1", "q2", "q5", "q7" -> Inputs.records(0, 32);
            default -> Inputs.records(0, 16);
        };
        double seconds = Clock.nanoseconds / 1e9;
        System.out.printf(Locale.ROOT,
                "{\"system\":\"flink\",\"variant\":\"%s\",\"query\":\"%s\",\"parallelism\":%d,"
                        + "\"records\":%d,\"rows\":%d,\"seconds\":%.6f,\"records_per_second\":%.0f,"
                        + "\"user_cpu_ns_per_record\":%.3f,\"checksum\":\"%016x\"}%n",
                variant, options.query, options.parallelism, records, Clock.rows, seconds, records / seconds,
                (double) Clock.cpuNanoseconds / Math.max(1, records), Clock.checksum);
        System.out.flush();
    }
}
