package peer;

import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.legacy.RichSinkFunction;
import org.apache.flink.streaming.api.functions.source.legacy.RichSourceFunction;
import org.apache.flink.util.Collector;

/** How long a record takes from the source, on one thread, to the count of its key, on another. One run a process. */
final class Latency {
    static final String USAGE = """
            Usage: run latency [--rate R] [--seconds S] [--warm-up S] [--buffer-timeout-ms T]

            Records how long a record takes from when it is due to when its key's count arrives, as
            `thalweg latency --mode hop` does; prints one JSON object.

              --rate R               records a second (default 1000000)
              --seconds S            how long latencies are recorded (default 10)
              --warm-up S            how long the job runs before that (default 2)
              --buffer-timeout-ms T  how long a record waits for its buffer to fill; with 0 every record is
                                     sent at once (default 0)""";

    /** Processor time is read this long before recording starts, so that it does not disturb the recording. */
    private static final long READING_LEAD_NANOS = 20_000_000;
    /** From the source's start to its first record. */
    private static final long START_DELAY_NANOS = 200_000_000;

    private static volatile boolean letGo;
    private static volatile long unsent;
    private static volatile double[] processors;
    private static final Histogram LATENCIES = new Histogram();
    private static long records;
    private static long checksum;
    private static long lastNanos;

    private Latency() {}

    static void main(String[] arguments) throws Exception {
        if (List.of(arguments).contains("--help")) {
            System.out.println(USAGE);
            return;
        }
        long bufferTimeout;
        try {
            bufferTimeout = parse(arguments);
        } catch (IllegalArgumentException error) {
            System.err.println("flink: " + error.getMessage() + "\n\n" + USAGE);
            System.exit(2);
            return;
        }
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(1, new Configuration());
        // Chained operators hand on the object itself.
        environment.getConfig().enableObjectReuse();
        environment.setBufferTimeout(bufferTimeout);
        // A chain ends before a keyBy: the count has a thread of its own.
        environment.addSource(new Ticks(), "ticks", Tick.INFO)
                .keyBy(tick -> tick.key, Types.LONG)
                .process(new Count(), Tick.INFO)
                .addSink(new Latencies())
                .name("latencies");
        environment.execute("latency");
        long sent = Schedule.count - unsent;
        long expected = Schedule.sumOfCounts(sent);
        if (records != sent || checksum != expected) {
            System.err.printf("flink: latency: %d of %d records arrived, and add up to %d instead of %d%n",
                    records, sent, checksum, expected);
            System.exit(1);
        }
        report(bufferTimeout);
        // Threads of the cluster may linger; all has been said.
        System.exit(0);
    }

    /** Sets the schedule; gives the buffer timeout. */
    private static long parse(String[] arguments) {
        double rate = 1_000_000;
        double seconds = 10;
        double warmUp = 2;
        long bufferTimeout = 0;
        for (int at = 0; at < arguments.length; at += 2) {
            String option = arguments[at];
            String value = at + 1 < arguments.length ? arguments[at + 1] : null;
            switch (option) {
                case "--rate" -> rate = number(option, value, 1);
                case "--seconds" -> seconds = number(option, value, 0.001);
                case "--warm-up" -> warmUp = number(option, value, 0);
                case "--buffer-timeout-ms" -> bufferTimeout = (long) number(option, value, 0);
                default -> throw new IllegalArgumentException("there is no option " + option);
            }
        }
        Schedule.set((long) rate, warmUp, seconds);
        return bufferTimeout;
    }

    private static double number(String option, String value, double least) {
        if (value == null) {
            throw new IllegalArgumentException(option + " wants a value");
        }
        try {
            double number = Double.parseDouble(value);
            if (number >= least && number <= 1e9) {
                return number;
            }
        } catch (NumberFormatException error) {
            // Told below, like a number out of range.
        }
        throw new IllegalArgumentException(
                String.format(Locale.ROOT, "%s wants a number, %s at least, not `%s`", option, least, value));
    }

    /** Reads the processors' counters around the recorded seconds, then lets the source end. */
    private static void watch() {
        try {
            sleepUntil(Schedule.due(Schedule.warmUpCount) - READING_LEAD_NANOS);
            Processors before = Processors.now();
            sleepUntil(Schedule.due(Schedule.count));
            Processors after = Processors.now();
            processors = new double[] {after.userCores(before), after.systemCores(before), after.stolen(before)};
        } catch (java.io.IOException error) {
            // Nothing is told of the processors where the system tells nothing.
        }
        letGo = true;
    }

    private static void sleepUntil(long nanos) {
        for (long left = nanos - System.nanoTime(); left > 0; left = nanos - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }

    /** Hands on every record once it is due; waits without sleeping. */
    private static final class Ticks extends RichSourceFunction<Tick> {
        /** Records handed on under one lock, at most: one that lags looks at the clock now and then. */
        private static final int LOOK_MAX = 1024;

        private volatile boolean running = true;

        @Override
        public void run(SourceContext<Tick> context) {
            Schedule.startNanos = System.nanoTime() + START_DELAY_NANOS;
            Thread watching = new Thread(Latency::watch, "watching");
            watching.setDaemon(true);
            watching.start();
            long givesUp = Schedule.due(Schedule.count) + Schedule.PATIENCE_NANOS;
            Tick tick = new Tick();
            long next = 0;
            while (running && next < Schedule.count) {
                long now = System.nanoTime();
                if (now > givesUp) {
                    break;
                }
                if (Schedule.due(next) > now) {
                    Thread.onSpinWait();
                    continue;
                }
                // Collecting takes this lock for every record; held for all that are due, that costs little.
                synchronized (context.getCheckpointLock()) {
                    long last = Math.min(Schedule.count, next + LOOK_MAX);
                    for (long due = Schedule.due(next); due <= now && next < last; due = Schedule.due(next)) {
                        tick.key = Schedule.key(next);
                        tick.number = next;
                        tick.dueNanos = due;
                        context.collect(tick);
                        next++;
                    }
                }
            }
            unsent = Schedule.count - next;
            while (running && !letGo) {
                LockSupport.parkNanos(1_000_000);
            }
        }

        @Override
        public void cancel() {
            running = false;
        }
    }

    /** Keeps a count in state, an object that is changed in place. */
    private static final class Count extends KeyedProcessFunction<Long, Tick, Tick> {
        private transient ValueState<Counter> counts;

        @Override
        public void open(OpenContext context) {
            counts = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Counter.INFO));
        }

        @Override
        public void processElement(Tick tick, Context context, Collector<Tick> out) throws Exception {
            Counter counter = counts.value();
            if (counter == null) {
                counter = new Counter();
                counts.update(counter);
            }
            tick.number = ++counter.value;
            out.collect(tick);
        }
    }

    /** Records when counts arrive: there is one instance, and its thread alone writes what it has seen. */
    private static final class Latencies extends RichSinkFunction<Tick> {
        private transient long recordedFrom;

        @Override
        public void invoke(Tick counted, Context context) {
            long nanos = System.nanoTime() - counted.dueNanos;
            if (records++ == 0) {
                recordedFrom = Schedule.due(Schedule.warmUpCount);
            }
            checksum += counted.number;
            lastNanos = Math.max(0, nanos);
            if (counted.dueNanos >= recordedFrom) {
                LATENCIES.record(nanos);
            }
        }
    }

    private static void report(long bufferTimeout) {
        StringBuilder percentiles = new StringBuilder();
        for (String percentile : List.of("50", "90", "99", "99.9", "99.99")) {
            percentiles.append(String.format(Locale.ROOT, "\"p%s_nanos\":%d,", percentile,
                    LATENCIES.at(Double.parseDouble(percentile))));
        }
        double[] told = processors;
        String cpu = told == null ? "null,\"user_cores\":null,\"system_cores\":null"
                : String.format(Locale.ROOT, "%.4f,\"user_cores\":%.4f,\"system_cores\":%.4f",
                        told[0] + told[1], told[0], told[1]);
        String steal = told == null ? "null" : String.format(Locale.ROOT, "%.6f", told[2]);
        // How long threads waited for a core is not told: the JVM's own compete for them.
        System.out.printf(Locale.ROOT,
                "{\"mode\":\"flink\",\"workers\":2,\"records\":%d,\"recorded\":%d,%s\"max_nanos\":%d,"
                        + "\"mean_nanos\":%.1f,\"behind_nanos\":%d,\"cpu\":{\"cores\":%s,\"threads\":[]},"
                        + "\"waited\":null,\"steal\":%s,\"unsent\":%d,\"setting\":\"buffer timeout %d ms\"}%n",
                records, LATENCIES.total(), percentiles, LATENCIES.largest(), LATENCIES.mean(), lastNanos, cpu,
                steal, unsent, bufferTimeout);
        System.out.flush();
    }
}
